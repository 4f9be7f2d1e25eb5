#include "release.h"

#include <utility>
#include <vector>

namespace mlx_gemma {

namespace mx = mlx::core;

namespace {

struct Releases {
  /** Held by the evaluation that runs, and by whoever destroys what waits. */
  std::mutex evaluating;
  std::mutex list;
  std::vector<mx::array> waiting;
};

Releases& releases() {
  static auto* instance = new Releases;  // Never destroyed: handles may be finalized at exit.
  return *instance;
}

std::vector<mx::array> TakeWaiting() {
  std::lock_guard lock(releases().list);
  return std::exchange(releases().waiting, {});
}

/** Destroys what waits unless an evaluation runs: that one will. */
void DestroyUnlessEvaluating() {
  std::unique_lock lock(releases().evaluating, std::try_to_lock);
  if (lock.owns_lock()) TakeWaiting();
}

}  // namespace

void ReleaseArray(mx::array array) {
  {
    std::unique_lock lock(releases().evaluating, std::try_to_lock);
    if (lock.owns_lock()) {
      const mx::array gone = std::move(array);  // Destroyed before the lock goes.
      return;
    }
  }
  {
    std::lock_guard lock(releases().list);
    releases().waiting.push_back(std::move(array));
  }
  DestroyUnlessEvaluating();  // It may have ended between the two.
}

EvaluationTurn::EvaluationTurn() : lock_(releases().evaluating) {}

EvaluationTurn::~EvaluationTurn() {
  TakeWaiting();
  lock_.unlock();
  DestroyUnlessEvaluating();  // What was released between the two found the lock taken.
}

}  // namespace mlx_gemma
