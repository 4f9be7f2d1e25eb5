#include "gemma4/kv_cache.h"

#include <algorithm>
#include <stdexcept>

#include "kernels/kernels.h"
#include "mlx/ops.h"

namespace mlx_gemma::gemma4 {

namespace mx = mlx::core;

namespace {

/** Buffers of full layers are multiples of this many positions; where MLX's own operations run, all are. */
constexpr int kStep = kernels::kKeyStep;

int64_t whole_steps(int64_t rows) { return (rows + kStep - 1) / kStep * kStep; }

array slice_rows(const array& buffer, int begin, int end) {
  return mx::slice(buffer, {0, 0, begin, 0}, {1, buffer.shape(1), end, buffer.shape(3)});
}

}  // namespace

std::atomic<int64_t>& cache_copies() {
  static std::atomic<int64_t> count{0};
  return count;
}

int KvCache::capacity_for(int rows) const {
  // A quarter more than is there, so that the copies of a long text add up to a few times its length.
  const int current = keys_ ? keys_->shape(2) : 0;
  const int wanted = std::max(rows, current + current / 4);
  const int64_t grown = whole_steps(wanted);
  if (window_ == 0) return static_cast<int>(grown);
  // A window may be near the largest int.
  const int64_t most = std::max<int64_t>(rows, int64_t{window_} + max_block_ + std::max(window_, kStep));
  return static_cast<int>(std::min<int64_t>(grown, kernels::own_kernels() ? most : whole_steps(most)));
}

int KvCache::oldest(int position) const {
  if (!kernels::own_kernels()) return kernels::key_range(position, window_).begin;
  return window_ > 0 ? std::max(0, position - window_ + 1) : 0;
}

array KvCache::moved(const std::optional<array>& old, int begin, int capacity) const {
  const array fresh = mx::zeros({1, kv_heads_, capacity, head_dim_}, dtype_);
  return length_ > begin ? kernels::kv_write(fresh, slice_rows(*old, begin, length_), 0) : fresh;
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

void KvCache::reserve(int rows) {
  count_copies();
  if (keys_ && length_ + rows <= keys_->shape(2)) return;
  const int begin = std::max(0, oldest(position()) - first_);
  const int retained = length_ - begin;
  const int capacity = capacity_for(retained + rows);
  array keys = moved(keys_, begin, capacity);
  array values = moved(values_, begin, capacity);
  if (mark_ >= 0 && !former_ && begin > 0) former_.emplace(*keys_, *values_, first_);
  keys_ = std::move(keys);
  values_ = std::move(values);
  first_ += begin;
  length_ = retained;
  keys_memory_ = nullptr;
}

kernels::CacheRows KvCache::current() const {
  return {.keys = *keys_, .values = *values_, .offset = length_, .first_position = first_, .window = window_};
}

void KvCache::wrote(const array& keys, const array& values, int rows) {
  keys_ = keys;
  values_ = values;
  written_ = rows;
  visible_.reset();
}

KvView KvCache::rows(int begin, int end) const {
  return {slice_rows(*keys_, begin, end), slice_rows(*values_, begin, end), first_ + begin};
}

const kernels::KeyRows& KvCache::visible(int queries) {
  if (!visible_ || visible_queries_ != queries) {
    const int end = length_ + written_;
    const KvView view = rows(window_ > 0 ? std::max(0, end - queries - window_ + 1) : 0, end);
    // Given for one token too, which sees all of its view: where the view starts decides how sums are
    // grouped.
    const kernels::AttentionMask mask{first_ + end - queries, window_, view.first_position};
    visible_.emplace(kernels::KeyRows{view.keys, view.values, mask});
    visible_queries_ = queries;
  }
  return *visible_;
}

void KvCache::commit(int rows) {
  length_ += rows;
  written_ = 0;
  visible_.reset();
}

void KvCache::drop(int n) {
  if (n < 0 || n > length_) throw std::logic_error("KvCache: cannot drop more rows than there are");
  length_ -= n;
  mark_ = std::min(mark_, position());
}

void KvCache::mark() {
  if (window_ == 0) return;
  mark_ = position();
  former_.reset();
}

bool KvCache::holds(int position) const {
  return reaches(first_, position) || (former_ && position <= mark_ && reaches(former_->first, position));
}

void KvCache::rewind(int position) {
  if (!holds(position)) throw std::logic_error("KvCache: the window before the position is gone");
  if (!reaches(first_, position)) {
    keys_ = std::move(former_->keys);
    values_ = std::move(former_->values);
    first_ = former_->first;
    former_.reset();
    keys_memory_ = nullptr;
  }
  length_ = position - first_;
  mark_ = std::min(mark_, position);
}

void KvCache::clear() {
  first_ = length_ = 0;
  mark_ = -1;
  former_.reset();
}

KvView KvCache::exported() const {
  if (!keys_ || length_ == 0) throw std::logic_error("no K/V yet: no token was processed and kept");
  return rows(window_ > 0 ? std::max(0, length_ - window_ + 1) : 0, length_);
}

void KvCache::buffers(std::vector<array>& out) const {
  if (!keys_) return;
  out.push_back(*keys_);
  out.push_back(*values_);
  if (!former_) return;
  out.push_back(former_->keys);
  out.push_back(former_->values);
}

size_t KvCache::nbytes() const {
  const size_t former = former_ ? former_->keys.nbytes() + former_->values.nbytes() : 0;
  return keys_ ? keys_->nbytes() + values_->nbytes() + former : 0;
}

}  // namespace mlx_gemma::gemma4
