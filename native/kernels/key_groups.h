// Which keys the rows of a step of fixed size are given.
#pragma once

#include <vector>

#include "kernels.h"

namespace mlx_gemma::kernels {

/** Key ranges begin and end at multiples of this many positions. */
constexpr int kKeyStep = 256;

/** Keys [begin, end), by position. */
struct KeyRange {
  int begin;
  int end;
  bool operator==(const KeyRange&) const = default;
};

/**
 * The keys that a query is given: those that it may see and some more. They follow from its position alone,
 * so that its sums have the same terms at the same places whatever block it comes in.
 *
 * @param window 0: full attention
 */
KeyRange key_range(int position, int window);

/** Neighbouring rows of a step that are given the same keys. */
struct KeyGroup {
  int first_row;
  int rows;
  KeyRange keys;
  /** Which of the keys each row of the step sees, bool (T, end - begin); means something for the group's rows
   * only. */
  array visible;
};

/** The groups of a step of T rows, the first at `position`; mostly one. */
std::vector<KeyGroup> key_groups(int position, int rows, int window);

}  // namespace mlx_gemma::kernels
