#include "key_groups.h"

#include <algorithm>

#include "mlx_operations.h"

namespace mlx_gemma::kernels {

KeyRange key_range(int position, int window) {
  const int first = window > 0 ? std::max(0, position - window + 1) : 0;
  return {first / kKeyStep * kKeyStep, (position / kKeyStep + 1) * kKeyStep};
}

std::vector<KeyGroup> key_groups(int position, int rows, int window) {
  std::vector<KeyGroup> groups;
  for (int row = 0; row < rows; ++row) {
    const KeyRange keys = key_range(position + row, window);
    if (groups.empty() || groups.back().keys != keys) {
      const AttentionMask mask{.query_offset = position, .window = window, .key_offset = keys.begin};
      groups.push_back({row, 0, keys, operations::visible_keys(mask, rows, keys.end - keys.begin)});
    }
    ++groups.back().rows;
  }
  return groups;
}

}  // namespace mlx_gemma::kernels
