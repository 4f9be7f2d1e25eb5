#include "gemma4/mlp.h"

#include "kernels/kernels.h"

namespace mlx_gemma::gemma4 {

Mlp::Mlp(const Weights& weights, const std::string& name, int hidden_size, int intermediate_size)
    : gate_proj_(weights, name + ".gate_proj", hidden_size, intermediate_size),
      up_proj_(weights, name + ".up_proj", hidden_size, intermediate_size),
      down_proj_(weights, name + ".down_proj", intermediate_size, hidden_size) {}

array Mlp::operator()(const array& x) const {
  return down_proj_(kernels::gelu_multiply(gate_proj_(x), up_proj_(x)));  // (1, T, H)
}

}  // namespace mlx_gemma::gemma4
