// Attention over the cache. Scalar reference, for one row at position p with maximum m and sum l of what came
// before:
//
//   for each section of kSection blocks that holds visible keys, in order, and from nothing,
//   for each block of kKeyBlock positions in it that holds visible keys, in order:
//     score[s] = scale * dot(q, key[s]) for each visible s, the dot product as in linear.cpp
//     m_b = max(score); e[s] = exp(score[s] - m_b), 0 for keys not seen
//     l_b = sum of the lanes that e falls into by position modulo L; o_b = Σ e[s] * value[s], in order of s
//     the section's (m, l, o) and (m_b, l_b, o_b) both rescaled to the larger maximum and added
//   and so the sections
//   out = round(o / l)
//
// Sections, blocks and lanes count from position 0, not from the start of a view or of a call, so the result
// is the row's own.
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
void attend(const Call& call, int kv_head, int first_row, int rows, int block, bool fetch, bool last,
            const float* q, SoftmaxState* states, float* values) {
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
      .fetch = fetch,
      .next_keys =
          last ? 0 : std::clamp(call.key_rows - static_cast<int>(row) - (kKeyBlock - first), 0, kKeyBlock)};
  call.f.attend_block[call.element](job, spans, first, states, values);
}

void load_queries(const Call& call, int kv_head, int first_row, int rows, float* q) {
  for (int tile = 0; tile < rows; tile += kTileRows) {
    const int count = std::min(kTileRows, rows - tile);
    const void* from[kTileRows];
    for (int r = 0; r < count; ++r) {
      const int row = first_row + tile + r, head = kv_head * call.group + row % call.group;
      from[r] = call.q.row(static_cast<std::int64_t>(head) * call.query_rows + row / call.group);
    }
    call.f.load_queries[call.element](from, count, call.width, q + tile * call.padded);
  }
}

void store_row(const Call& call, int kv_head, int row, const SoftmaxState& state, const float* values) {
  char* out = call.out_row(kv_head * call.group + row % call.group, row / call.group);
  const Span seen = call.visible(row / call.group);
  if (seen.begin >= seen.end) {
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

/** Blocks that come together before the row's other keys join them: what is written for each is as much as a
 * few keys, and many rows make it more than the keys themselves. */
constexpr int kSection = 8;

/** Blocks of the section of `block`, of those in `blocks`. */
Span section_of(int block, Span blocks) {
  const int start = block / kSection * kSection;
  return {std::max(start, blocks.begin), std::min(start + kSection, blocks.end)};
}

bool is_one(Span blocks) { return blocks.end - blocks.begin == 1; }

bool sees(const Call& call, int row, Span blocks) {
  const Span seen = call.visible(row / call.group);
  return std::max(seen.begin, blocks.begin * kKeyBlock) < std::min(seen.end, blocks.end * kKeyBlock);
}

void clear(const Call& call, int rows, SoftmaxState* states, float* values) {
  std::fill_n(states, rows, SoftmaxState{-__builtin_inff(), 0.0f});
  std::memset(values, 0, sizeof(float) * rows * call.padded);
}

/** What rows from first_row on have seen of `blocks`, added to what they saw before. */
void fold(const Call& call, int first_row, int rows, Span blocks, const SoftmaxState* states,
          const float* values, SoftmaxState* into, float* into_values) {
  for (int r = 0; r < rows; ++r) {
    if (!sees(call, first_row + r, blocks)) continue;
    const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(r) * call.padded;
    call.f.merge(into[r], into_values + at, states[r], values + at, call.padded);
  }
}

/** Many rows: a task takes some of them through all of their blocks, so that a block of keys serves several
 * tiles. */
void by_rows(const Call& call) {
  constexpr int kRows = 2 * kTileRows;
  const int rows = call.query_rows * call.group;
  const int parts = (rows + kRows - 1) / kRows;
  parallel_for(call.kv_heads * parts, [&](int task) {
    const int kv_head = task / parts, first = task % parts * kRows;
    const int count = std::min(kRows, rows - first);
    const std::size_t row = static_cast<std::size_t>(call.padded);
    float* q = thread_scratch(0, (3 * kRows + kTileRows) * row);
    float* totals = q + kRows * row;
    float* sections = totals + kRows * row;
    float* values = sections + kRows * row;
    SoftmaxState states[kRows], section_states[kRows], fresh[kTileRows];
    load_queries(call, kv_head, first, count, q);
    clear(call, count, states, totals);
    const Span blocks = blocks_of(call, first, count);
    for (int block = blocks.begin; block < blocks.end; ++block) {
      const Span section = section_of(block, blocks);
      if (block == section.begin) clear(call, count, section_states, sections);
      for (int r = 0; r < count; r += kTileRows) {
        const int n = std::min(kTileRows, count - r);
        attend(call, kv_head, first + r, n, block, r == 0, block + 1 == blocks.end, q + r * row, fresh,
               values);
        fold(call, first + r, n, {block, block + 1}, fresh, values, section_states + r, sections + r * row);
      }
      if (block + 1 == section.end)
        fold(call, first, count, section, section_states, sections, states, totals);
    }
    for (int r = 0; r < count; ++r) store_row(call, kv_head, first + r, states[r], totals + r * row);
  });
}

/** Units of work in a row, and the tasks that take them. */
struct Shares {
  std::int64_t units, tasks;

  int begin(int task) const { return static_cast<int>(units * task / tasks); }
  int task_of(int unit) const { return static_cast<int>(((unit + 1) * tasks - 1) / units); }
};

/** Few rows: a task takes all of a kv head's rows through some blocks, so that each key is read from memory
 * once. A section whose blocks are all its own it folds at once, into the place of the section's first block.
 */
void by_blocks(const Call& call, int tasks_wanted) {
  const int rows = call.query_rows * call.group;
  const Span blocks = blocks_of(call, 0, rows);
  const int count = blocks.end - blocks.begin;
  const std::size_t row = static_cast<std::size_t>(call.padded);
  const std::size_t all = static_cast<std::size_t>(call.kv_heads) * rows;
  // (kv_heads, rows, d), then (kv_heads, blocks, rows, d) and the states; all of them this thread's, filled
  // by all.
  float* q = thread_scratch(2, all * row * (count + 1) + 2 * all * count);
  float* values = q + all * row;
  auto* states = reinterpret_cast<SoftmaxState*>(values + all * row * count);
  for (int head = 0; head < call.kv_heads; ++head) load_queries(call, head, 0, rows, q + head * rows * row);
  const int units = call.kv_heads * count;
  const Shares shares{units, std::max(1, std::min(tasks_wanted, units))};
  /** The blocks that `block` stands for together with others: its section, where one task takes it all. */
  const auto together = [&](int head, int block) -> Span {
    const Span section = section_of(block, blocks);
    const auto task = [&](int b) { return shares.task_of(head * count + b - blocks.begin); };
    return task(section.begin) == task(section.end - 1) ? section : Span{block, block + 1};
  };
  if (units > 0) {
    parallel_for(static_cast<int>(shares.tasks), [&](int task) {
      float* fresh_values = thread_scratch(0, kTileRows * row);
      for (int unit = shares.begin(task); unit < shares.begin(task + 1); ++unit) {
        const int head = unit / count, block = blocks.begin + unit % count;
        const Span folded = together(head, block);
        for (int r = 0; r < rows; r += kTileRows) {
          const int n = std::min(kTileRows, rows - r);
          const std::size_t at =
              (static_cast<std::size_t>(head) * count + folded.begin - blocks.begin) * rows + r;
          const float* tile = q + (head * rows + r) * row;
          const bool last = block + 1 == blocks.end;
          if (is_one(folded)) {
            attend(call, head, r, n, block, r == 0, last, tile, states + at, values + at * row);
            continue;
          }
          SoftmaxState fresh[kTileRows];
          if (block == folded.begin) clear(call, n, states + at, values + at * row);
          attend(call, head, r, n, block, r == 0, last, tile, fresh, fresh_values);
          fold(call, r, n, {block, block + 1}, fresh, fresh_values, states + at, values + at * row);
        }
      }
    });
  }
  // Each row's sections in order; which thread takes a row is left to chance.
  const int sums = static_cast<int>(all);
  const int sum_tasks = task_count(2.0 * sums * count * call.padded / kSection, sums);
  parallel_for(sum_tasks, [&](int task) {
    float* total = thread_scratch(0, 2 * row);
    float* section_total = total + row;
    for (int i = sums * task / sum_tasks; i < sums * (task + 1) / sum_tasks; ++i) {
      const int head = i / rows, r = i % rows;
      const std::size_t first = static_cast<std::size_t>(head) * count * rows + r;
      SoftmaxState state, section_state;
      clear(call, 1, &state, total);
      for (Span section{0, blocks.begin}; section.end < blocks.end;) {
        section = section_of(section.end, blocks);
        const std::size_t at = first + static_cast<std::size_t>(section.begin - blocks.begin) * rows;
        if (is_one(together(head, section.begin))) {
          clear(call, 1, &section_state, section_total);
          for (int block = section.begin; block < section.end; ++block) {
            const std::size_t own = at + static_cast<std::size_t>(block - section.begin) * rows;
            fold(call, r, 1, {block, block + 1}, states + own, values + own * row, &section_state,
                 section_total);
          }
          fold(call, r, 1, section, &section_state, section_total, &state, total);
        } else {
          fold(call, r, 1, section, states + at, values + at * row, &state, total);
        }
      }
      store_row(call, head, r, state, total);
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
