// Steps of fixed size: the keys that their rows are given, which must follow from each row's position alone.
#include "kernels/key_groups.h"

#include <algorithm>
#include <string>

#include "check.h"

namespace mlx_gemma::kernels::test {
namespace {

/** Whether the group's rows see what they may see of their keys, and nothing else. */
bool sees_its_own(const KeyGroup& group, int position, int window) {
  mx::array visible = group.visible;
  mx::eval(visible);
  const int width = group.keys.end - group.keys.begin;
  for (int row = group.first_row; row < group.first_row + group.rows; ++row) {
    for (int key = 0; key < width; ++key) {
      const int distance = position + row - (group.keys.begin + key);
      const bool may = distance >= 0 && (window == 0 || distance < window);
      if (visible.data<bool>()[row * width + key] != may) return false;
    }
  }
  return true;
}

void step(int position, int rows, int window) {
  int next = 0;
  bool keys = true, whole = true, sees = true;
  for (const KeyGroup& group : key_groups(position, rows, window)) {
    whole = whole && group.first_row == next && group.rows > 0;
    for (int row = next; row < next + group.rows; ++row) {
      const int own = position + row;
      keys = keys && group.keys == key_range(own, window);
      // All that it may see is there.
      whole = whole && group.keys.begin <= (window > 0 ? std::max(0, own - window + 1) : 0) &&
              own < group.keys.end;
    }
    keys = keys && group.keys.begin % kKeyStep == 0 && group.keys.end % kKeyStep == 0;
    sees = sees && sees_its_own(group, position, window);
    next += group.rows;
  }
  const std::string where =
      std::to_string(rows) + " rows at " + std::to_string(position) + ", window " + std::to_string(window);
  check(whole && next == rows, "key groups: every row and key: " + where);
  check(keys, "key groups: the keys of a row are those of its position: " + where);
  check(sees, "key groups: a row sees what its mask says: " + where);
}

}  // namespace

void key_groups_tests() {
  for (const int window : {0, 4, 512, 1024}) {
    for (const int position : {0, 3, 248, 255, 256, 511, 767, 1023, 1279, uniform(0, 5000)}) {
      step(position, uniform(1, 16), window);
    }
  }
}

}  // namespace mlx_gemma::kernels::test
