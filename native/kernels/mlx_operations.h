// The kernels as compositions of MLX's own operations: what runs where our primitives do not.
#pragma once

#include <optional>
#include <vector>

#include "kernels.h"
#include "sampling.h"

namespace mlx_gemma::kernels::operations {

array linear(const array& x, const array& weight);
array quantized_linear(const array& x, const QuantizedWeight& weight);
array dequantize_rows(const QuantizedWeight& weight, const array& rows, mlx::core::Dtype dtype);
array experts_linear(const array& x, const array& weight, const array& indices);
array experts_linear(const array& x, const QuantizedWeight& weight, const array& indices);
array attention(const array& q, const array& keys, const array& values, float scale,
                std::optional<AttentionMask> mask);
/** The same with the keys that each query sees: bool (T, S). */
array attention(const array& q, const array& keys, const array& values, float scale, const array& visible);
/** What a mask says, bool (T, S). */
array visible_keys(const AttentionMask& mask, int query_rows, int key_rows);
array kv_write(const array& buffer, const array& update, int offset);
array softcap(const array& x, float cap);
array gelu_multiply(const array& gate, const array& up);
array rms_norm(const array& x, const std::optional<array>& weight, float eps);
array rope_table(const array& inverse_frequencies, int position, int rows, mlx::core::Dtype dtype);
array rope(const array& x, const array& table);
array probabilities(const array& logits, const Cuts& cuts);
array draw(const array& probabilities, const std::optional<array>& tokens, const RandomKey& key);
array judge(const array& p, const std::optional<Drafts>& drafts, const std::vector<RandomKey>& accept,
            const std::vector<RandomKey>& next);

}  // namespace mlx_gemma::kernels::operations
