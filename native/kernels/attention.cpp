// Attention over the cache. Scalar reference, for one row at position p with maximum m and sum l of what came
// before:
//
//   for each block of kKeyBlock absolute positions that holds visible keys, in order:
//     score[s] = scale * dot(q, key[s]) for each visible s, the dot product as in linear.cpp
//     m_b = max(score); e[s] = exp(score[s] - m_b), 0 for keys not seen
//     l_b = sum of the lanes that e falls into by position modulo L; o_b = Σ e[s] * value[s], in order of s
//     (m, l, o) and (m_b, l_b, o_b) both rescaled to the larger maximum and added
//   out = round(o / l)
//
// Blocks and lanes count from position 0, not from the start of a view or of a call, so the result is the
// row's own.
#include <algorithm>
#include <cstring>

#include "direct.h"
#include "mlx/allocator.h"
#include "mlx/ops.h"
#include "mlx_operations.h"
#include "thread_pool.h"

namespace mlx_gemma::kernels {
namespace {

constexpr int floor_block(int position) { return position / kKeyBlock; }

/** A call, with what follows from it. Rows of a kv head are counted t-major: row i is (t, h) = (i / group,
 * …). */
struct Call : direct::AttentionCall {
  explicit Call(const direct::AttentionCall& call)
      : AttentionCall(call),
        f(row_functions()),
        size(element_size(element)),
        group(heads / kv_heads),
        padded((width + f.pair - 1) / f.pair * f.pair) {}

  const RowFunctions& f;
  std::int64_t size;  // of an element
  int group, padded;

  /** Positions [first, last) that row t sees. */
  Span visible(int t) const {
    const int begin = mask.key_offset, end = mask.key_offset + key_rows;
    if (!masked) return {begin, end};
    const int position = mask.query_offset + t;
    const int from = mask.window > 0 ? std::max(begin, position - mask.window + 1) : begin;
    return {from, std::min(end, position + 1)};
  }

  char* out_row(int head, int t) const {
    return out + (static_cast<std::int64_t>(t) * heads + head) * width * size;
  }
};

/** The state of up to kTileRows rows after one block, from scratch. */
void attend(const Call& call, int kv_head, int first_row, int rows, int block, bool fetch, const float* q,
            SoftmaxState* states, float* values) {
  const int start = block * kKeyBlock;
  Span spans[kTileRows];
  for (int r = 0; r < rows; ++r) {
    const Span seen = call.visible((first_row + r) / call.group);
    spans[r] = {std::clamp(seen.begin - start, 0, kKeyBlock), std::clamp(seen.end - start, 0, kKeyBlock)};
  }
  // In-block position of the first row of the view that the block may read, and that row.
  const int first = std::max(call.mask.key_offset - start, 0);
  const std::int64_t row = start + first - call.mask.key_offset;
  const AttentionJob job{
      .q = q,
      .padded = call.padded,
      .rows = rows,
      .keys = call.keys + (kv_head * call.key_head + row * call.key_row) * call.size,
      .key_stride = call.key_row,
      .values = call.values + (kv_head * call.value_head + row * call.value_row) * call.size,
      .value_stride = call.value_row,
      .width = call.width,
      .scale = call.scale,
      .fetch = fetch};
  call.f.attend_block[call.element](job, spans, first, states, values);
}

void load_queries(const Call& call, int kv_head, int first_row, int rows, float* q) {
  for (int r = 0; r < rows; ++r) {
    const int t = (first_row + r) / call.group, head = kv_head * call.group + (first_row + r) % call.group;
    const char* row = call.q.row(static_cast<std::int64_t>(head) * call.query_rows + t);
    call.f.widen[call.element](row, call.width, q + r * call.padded);
  }
}

void store_row(const Call& call, int kv_head, int row, const SoftmaxState& state, const float* values,
               bool seen) {
  char* out = call.out_row(kv_head * call.group + row % call.group, row / call.group);
  if (!seen) {
    std::memset(out, 0, static_cast<std::size_t>(call.width * call.size));
    return;
  }
  call.f.finish[call.element](state, values, call.width, out);
}

/** Blocks [first, last) that any of the rows sees. */
Span blocks_of(const Call& call, int first_row, int rows) {
  const Span low = call.visible(first_row / call.group),
             high = call.visible((first_row + rows - 1) / call.group);
  if (high.begin >= high.end || low.begin >= high.end) return {0, 0};
  return {floor_block(low.begin), floor_block(high.end - 1) + 1};
}

constexpr SoftmaxState kNothing{-__builtin_inff(), 0.0f};

bool sees(const Call& call, int row, int block) {
  const Span seen = call.visible(row / call.group);
  return std::max(seen.begin, block * kKeyBlock) < std::min(seen.end, (block + 1) * kKeyBlock);
}

/** Many rows: a task takes some of them through all of their blocks, so that a block of keys serves several
 * tiles. */
void by_rows(const Call& call) {
  constexpr int kRows = 4 * kTileRows;
  const int rows = call.query_rows * call.group;
  const int parts = (rows + kRows - 1) / kRows;
  parallel_for(call.kv_heads * parts, [&](int task) {
    const int kv_head = task / parts, first = task % parts * kRows;
    const int count = std::min(kRows, rows - first);
    const std::size_t row = static_cast<std::size_t>(call.padded);
    float* q = thread_scratch(0, (2 * kRows + kTileRows) * row);
    float* totals = q + kRows * row;
    float* values = totals + kRows * row;
    SoftmaxState states[kRows], fresh[kTileRows];
    bool started[kRows] = {};
    load_queries(call, kv_head, first, count, q);
    const Span blocks = blocks_of(call, first, count);
    for (int block = blocks.begin; block < blocks.end; ++block) {
      for (int r = 0; r < count; r += kTileRows) {
        const int n = std::min(kTileRows, count - r);
        attend(call, kv_head, first + r, n, block, r == 0, q + r * row, fresh, values);
        for (int i = 0; i < n; ++i) {
          if (!sees(call, first + r + i, block)) continue;
          if (!started[r + i]) {
            states[r + i] = kNothing;
            std::memset(totals + (r + i) * row, 0, row * sizeof(float));
            started[r + i] = true;
          }
          call.f.merge(states[r + i], totals + (r + i) * row, fresh[i], values + i * row, call.padded);
        }
      }
    }
    for (int r = 0; r < count; ++r) {
      store_row(call, kv_head, first + r, states[r], totals + r * row, started[r]);
    }
  });
}

/** Few rows: a task takes all of a kv head's rows through one block, so that each key is read from memory
 * once. */
void by_blocks(const Call& call, int tasks_wanted) {
  const int rows = call.query_rows * call.group;
  const Span blocks = blocks_of(call, 0, rows);
  const int count = blocks.end - blocks.begin;
  const std::size_t row = static_cast<std::size_t>(call.padded);
  const std::size_t all = static_cast<std::size_t>(call.kv_heads) * rows;
  // (kv_heads, rows, d), then (kv_heads, blocks, rows, d) and the states; all of them this thread's, filled
  // by all.
  float* q = thread_scratch(2, all * row * (count + 2) + 2 * all * count);
  float* values = q + all * row;
  float* totals = values + all * row * count;
  auto* states = reinterpret_cast<SoftmaxState*>(totals + all * row);
  for (int head = 0; head < call.kv_heads; ++head) load_queries(call, head, 0, rows, q + head * rows * row);
  const int units = call.kv_heads * count;
  const int tasks = std::min(tasks_wanted, units);
  if (tasks > 0) {
    parallel_for(tasks, [&](int task) {
      for (int unit = static_cast<int>(static_cast<std::int64_t>(units) * task / tasks);
           unit < static_cast<int>(static_cast<std::int64_t>(units) * (task + 1) / tasks); ++unit) {
        const int head = unit / count, block = blocks.begin + unit % count;
        for (int r = 0; r < rows; r += kTileRows) {
          const std::size_t at = static_cast<std::size_t>(unit) * rows + r;
          attend(call, head, r, std::min(kTileRows, rows - r), block, r == 0, q + (head * rows + r) * row,
                 states + at, values + at * row);
        }
      }
    });
  }
  // Each row's blocks in order; which thread takes a row is left to chance.
  const int sums = static_cast<int>(all);
  const int sum_tasks = task_count(2.0 * sums * count * call.padded, sums);
  parallel_for(sum_tasks, [&](int task) {
    for (int i = sums * task / sum_tasks; i < sums * (task + 1) / sum_tasks; ++i) {
      const int head = i / rows, r = i % rows;
      float* total = totals + i * row;
      std::memset(total, 0, row * sizeof(float));
      SoftmaxState state = kNothing;
      bool started = false;
      for (int b = 0; b < count; ++b) {
        if (!sees(call, r, blocks.begin + b)) continue;
        const std::size_t at = (static_cast<std::size_t>(head) * count + b) * rows + r;
        call.f.merge(state, total, states[at], values + at * row, call.padded);
        started = true;
      }
      store_row(call, head, r, state, total, started);
    }
  });
}

class Attention : public CpuPrimitive {
 public:
  Attention(mx::Stream stream, float scale, std::optional<AttentionMask> mask)
      : CpuPrimitive(stream), scale_(scale), mask_(mask) {}
  const char* name() const override { return "GemmaAttention"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const array q = dense_rows(inputs[0], encoder);
    const array keys = dense_rows(inputs[1], encoder);
    const array values = dense_rows(inputs[2], encoder);
    const std::int64_t heads = q.shape(1), rows = q.shape(2), width = q.shape(3);
    const bool flat = heads == 1 || rows == 1;
    const mx::array::Flags flags{.contiguous = true, .row_contiguous = flat, .col_contiguous = false};
    const mx::Strides strides = flat ? mx::Strides{heads * rows * width, rows * width, width, 1}
                                     : mx::Strides{heads * rows * width, width, heads * width, 1};
    out.set_data(mx::allocator::malloc(out.nbytes()), out.size(), strides, flags);
    if (out.size() == 0) return;
    encoder.set_input_array(q);
    encoder.set_input_array(keys);
    encoder.set_input_array(values);
    encoder.set_output_array(out);
    const direct::AttentionCall call{.element = static_cast<int>(element_of(out, "attention")),
                                     .q = RowView(q),
                                     .keys = bytes_of(keys),
                                     .values = bytes_of(values),
                                     .key_head = keys.strides(1),
                                     .key_row = keys.strides(2),
                                     .value_head = values.strides(1),
                                     .value_row = values.strides(2),
                                     .heads = q.shape(1),
                                     .kv_heads = keys.shape(1),
                                     .query_rows = q.shape(2),
                                     .key_rows = keys.shape(2),
                                     .width = q.shape(3),
                                     .scale = scale_,
                                     .masked = mask_.has_value(),
                                     .mask = mask_.value_or(AttentionMask{}),
                                     .out = bytes_of(out)};
    encoder.dispatch([call]() { direct::attention(call); });
  }

 private:
  float scale_;
  std::optional<AttentionMask> mask_;
};

}  // namespace

void direct::attention(const AttentionCall& plain) {
  const Call call(plain);
  constexpr int kFewRows = 64;
  const int rows = call.query_rows * call.group;
  const Span blocks = blocks_of(call, 0, rows);
  const double keys = static_cast<double>(blocks.end - blocks.begin) * kKeyBlock;
  const double work = 2.0 * keys * call.heads * call.query_rows * call.width;
  if (rows > kFewRows) return by_rows(call);
  by_blocks(call, task_count(work, call.kv_heads * (blocks.end - blocks.begin)));
}

array attention(const array& q, const array& keys, const array& values, float scale,
                std::optional<AttentionMask> mask) {
  element_of(q, "attention");
  require(q.ndim() == 4 && keys.ndim() == 4 && q.shape(0) == 1 && keys.shape(0) == 1, "attention",
          "expected q (1, heads, T, d) and keys (1, kv_heads, S, d)");
  require(
      keys.shape() == values.shape() && q.shape(3) == keys.shape(3) && q.shape(3) > 0 && q.shape(3) <= kDepth,
      "attention", "q, keys and values differ in d, or keys and values in shape");
  require(keys.shape(1) > 0 && q.shape(1) % keys.shape(1) == 0, "attention",
          "heads are no multiple of kv_heads");
  require(!mask || (mask->key_offset >= 0 && mask->query_offset >= 0 && mask->window >= 0), "attention",
          "a mask's numbers can't be negative");
  const array own_keys = mx::astype(keys, q.dtype()), own_values = mx::astype(values, q.dtype());
  if (!own_kernels()) return operations::attention(q, own_keys, own_values, scale, mask);
  return array(q.shape(), q.dtype(), std::make_shared<Attention>(current_stream(), scale, mask),
               {q, own_keys, own_values});
}

}  // namespace mlx_gemma::kernels
