// Keys and values of one producer layer.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/blocks.h"
#include "mlx/array.h"

namespace mlx_gemma::gemma4 {

using mlx::core::array;

/** A run of neighbouring positions of a cache; both arrays (1, kv_heads, S, head_dim). */
struct KvView {
  array keys;
  array values;
  /** Absolute position of row 0. */
  int first_position;
};

/** Writes in this process that copied a buffer although it had room. Possible on GPU backends only. */
std::atomic<int64_t>& cache_copies();

/**
 * Rows in order of position, always contiguous, in a buffer with room at its end. Where MLX's own operations
 * run, row 0 is a multiple of kernels::kKeyStep, for steps of fixed size are given keys from such positions
 * on.
 *
 * Buffers grow by steps. A full layer's holds every position; a sliding layer's at least the last
 * `window - 1` positions before the one to come, which move to the front of a fresh buffer when its end is
 * reached, and it grows to about twice the window. So what was exported before keeps its memory, and a
 * rejected block overwrites nothing that is still seen, however long the block.
 *
 * Writing is in place on a CPU: rows past the kept ones are written again after `keep`. A graph that reads
 * them (the step that was cut) must be evaluated before the next one that writes; what `exported` and
 * earlier steps read is never touched.
 */
class KvCache {
 public:
  /**
   * @param window 0: a full layer
   * @param max_block tokens of a verify step, to leave room for
   */
  KvCache(int window, int max_block, int kv_heads, int head_dim, mlx::core::Dtype dtype)
      : window_(window), max_block_(max_block), kv_heads_(kv_heads), head_dim_(head_dim), dtype_(dtype) {}

  /**
   * Makes room for T rows after the kept ones, all that are written before `drop`: a fresh buffer has what
   * the first of them sees, but not what one that was dropped by then saw.
   */
  void reserve(int rows);
  /** The buffers, for a step that writes after the kept rows, or with what it wrote. */
  kernels::CacheRows current() const;
  /** What a step of T rows made of them. `commit` makes the rows kept; without it the next step replaces
   * them. */
  void wrote(const array& keys, const array& values, int rows);
  /** What the last `queries` written rows may see: all of it on full layers, their windows on sliding ones.
   */
  const kernels::KeyRows& visible(int queries);
  /** Keeps the first `rows` written rows. */
  void commit(int rows);
  /** Drops the last n kept rows. */
  void drop(int n);

  /** From now on `rewind` can come back to here, whatever moves in between. One mark at a time. */
  void mark();
  /**
   * Whether `rewind` can go back to `position`: where its window is still there, in the buffer or in the one
   * of the mark.
   */
  bool holds(int position) const;
  /** Keeps the first `position` positions, which `holds` said are there. */
  void rewind(int position);
  /** Keeps nothing but the buffers. */
  void clear();

  /** What a query at the next position may see of the kept rows. Throws when there is none yet. */
  KvView exported() const;
  /** Appends the buffers, as the last write made them, those of the mark included. */
  void buffers(std::vector<array>& out) const;
  size_t nbytes() const;

  /** Positions kept. */
  int position() const { return first_ + length_; }

 private:
  /** A buffer that rows have moved away from, and where its row 0 stood. */
  struct Former {
    array keys;
    array values;
    int first;
  };

  /** Position of the first key that a query at `position` is given. */
  int oldest(int position) const;
  /** Whether a buffer with row 0 at `first` has what a query at `position` is given. */
  bool reaches(int first, int position) const { return first <= oldest(position); }
  /** A buffer of `capacity` rows, with rows [begin, length_) of `old` at its front. */
  array moved(const std::optional<array>& old, int begin, int capacity) const;
  int capacity_for(int rows) const;
  void count_copies();
  KvView rows(int begin, int end) const;

  int window_;
  int max_block_;
  int kv_heads_;
  int head_dim_;
  mlx::core::Dtype dtype_;
  /** (1, kv_heads, capacity, head_dim); row r is position first_ + r. */
  std::optional<array> keys_;
  std::optional<array> values_;
  int first_ = 0;
  int length_ = 0;
  /** Rows written and not committed. */
  int written_ = 0;
  /** -1: none. */
  int mark_ = -1;
  /** What the mark needs that the buffer has no more. */
  std::optional<Former> former_;
  /** The view of the step that is being built; dropped with it, for a view keeps its buffer from being
   * reused. */
  std::optional<kernels::KeyRows> visible_;
  int visible_queries_ = 0;
  /** Where keys_ lay at the last write, to tell whether that write was in place. */
  const void* keys_memory_ = nullptr;
};

}  // namespace mlx_gemma::gemma4
