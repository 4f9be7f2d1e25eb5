#include "gemma4/kv_cache.h"

#include <algorithm>
#include <stdexcept>

#include "kernels/kernels.h"
#include "mlx/ops.h"

namespace mlx_gemma::gemma4 {

namespace mx = mlx::core;

namespace {

/** Buffers of full layers are multiples of this many positions. */
constexpr int kStep = 256;

array slice_rows(const array& buffer, int begin, int end) {
  return mx::slice(buffer, {0, 0, begin, 0}, {1, buffer.shape(1), end, buffer.shape(3)});
}

/** A buffer of `capacity` rows like `like`, with rows [begin, end) of `old` at its front. */
array moved(const std::optional<array>& old, int begin, int end, const array& like, int capacity) {
  array fresh = mx::zeros({1, like.shape(1), capacity, like.shape(3)}, like.dtype());
  return end > begin ? kernels::kv_write(fresh, slice_rows(*old, begin, end), 0) : fresh;
}

}  // namespace

std::atomic<int64_t>& cache_copies() {
  static std::atomic<int64_t> count{0};
  return count;
}

int KvCache::capacity_for(int rows) const {
  if (window_ > 0) return std::max(rows, window_ + max_block_ + std::max(window_, kStep));
  // A quarter more than is there, so that the copies of a long text add up to a few times its length.
  const int current = keys_ ? keys_->shape(2) : 0;
  const int wanted = std::max(rows, current + current / 4);
  return (wanted + kStep - 1) / kStep * kStep;
}

void KvCache::make_room(int rows, const array& like_keys, const array& like_values) {
  if (keys_ && length_ + rows <= keys_->shape(2)) return;
  const int retained = window_ > 0 ? std::min(length_, window_ - 1) : length_;
  const int capacity = capacity_for(retained + rows);
  const int begin = length_ - retained;
  array keys = moved(keys_, begin, length_, like_keys, capacity);
  array values = moved(values_, begin, length_, like_values, capacity);
  keys_ = std::move(keys);
  values_ = std::move(values);
  first_ += begin;
  length_ = retained;
  keys_memory_ = nullptr;
}

void KvCache::count_copies() {
  if (!keys_ || !keys_->is_available()) {
    keys_memory_ = nullptr;
    return;
  }
  const void* memory = keys_->buffer().ptr();
  if (keys_memory_ != nullptr && keys_memory_ != memory) ++cache_copies();
  keys_memory_ = memory;
}

void KvCache::write(const array& keys, const array& values) {
  count_copies();
  const int rows = keys.shape(2);
  make_room(rows, keys, values);
  keys_ = kernels::kv_write(*keys_, keys, length_);
  values_ = kernels::kv_write(*values_, values, length_);
  written_ = rows;
  visible_.reset();
}

KvView KvCache::rows(int begin, int end) const {
  return {slice_rows(*keys_, begin, end), slice_rows(*values_, begin, end), first_ + begin};
}

const KvView& KvCache::visible(int queries) {
  if (!visible_ || visible_queries_ != queries) {
    const int end = length_ + written_;
    visible_ = rows(window_ > 0 ? std::max(0, end - queries - window_ + 1) : 0, end);
    visible_queries_ = queries;
  }
  return *visible_;
}

void KvCache::commit() {
  length_ += written_;
  written_ = 0;
  visible_.reset();
}

void KvCache::drop(int n) {
  if (n < 0 || n > length_) throw std::logic_error("KvCache: cannot drop more rows than there are");
  length_ -= n;
}

KvView KvCache::exported() const {
  if (!keys_ || length_ == 0) throw std::logic_error("no K/V yet: no token was processed and kept");
  return rows(window_ > 0 ? std::max(0, length_ - window_ + 1) : 0, length_);
}

void KvCache::buffers(std::vector<array>& out) const {
  if (!keys_) return;
  out.push_back(*keys_);
  out.push_back(*values_);
}

size_t KvCache::nbytes() const { return keys_ ? keys_->nbytes() + values_->nbytes() : 0; }

}  // namespace mlx_gemma::gemma4
