// llama.cpp as a peer of bench/peers: a request a line on stdin, an answer a line on stdout, both JSON; see
// ../peer.mjs for the protocol. Drafting is llama.cpp's own (common/speculative, draft-mtp), called as its
// speculative-simple calls it; only the argmax over the logits is ours, which is quicker than its sampler.
#include <algorithm>
#include <chrono>
#include <clocale>
#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "../src/llama-ext.h"
#include "common.h"
#include "llama.h"
#include "nlohmann/json.hpp"
#include "speculative.h"

using json = nlohmann::json;

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

class Peer {
 public:
  json answer(const json& request) {
    const std::string op = request.at("op");
    if (op == "load") return load(request);
    if (!target_) throw std::runtime_error("nothing is loaded");
    const std::vector<llama_token> prompt = request.at("prompt");
    if (prompt.empty()) throw std::runtime_error("the prompt is empty");
    if (op == "plain") return plain(prompt, request.at("tokens"));
    if (op == "drafted") return drafted(prompt, request.at("tokens"), request.at("draftTokens"));
    if (op == "prefill") return prefill(prompt);
    if (op == "step") return step(prompt, request.at("rows"), request.at("repeat"));
    if (op == "draft") return draft_steps(prompt, request.at("draftTokens"), request.at("repeat"));
    throw std::runtime_error("unknown op " + op);
  }

 private:
  /** Reads the models and evaluates one token: with mmap the weights are read no earlier than that. */
  json load(const json& request) {
    speculative_.reset();
    assistant_.reset();
    target_.reset();
    params_ = {};
    const auto start = Clock::now();
    params_.model.path = request.at("target");
    params_.n_ctx = request.at("contextLength");
    params_.cpuparams.n_threads = request.at("threads");
    params_.cpuparams_batch.n_threads = params_.cpuparams.n_threads;
    params_.warmup = false;
    params_.fit_params = false;
    const std::string assistant = request.value("assistant", "");
    if (!assistant.empty()) {
      auto& speculative = params_.speculative;
      speculative.types = {COMMON_SPECULATIVE_TYPE_DRAFT_MTP};
      speculative.draft.mparams.path = assistant;
      speculative.draft.n_max = kMaxDrafts;
      const auto limits =
          common_speculative_get_output_limits(params_.n_batch, params_.n_parallel, kMaxDrafts);
      params_.n_outputs_max = limits.total;
      params_.n_outputs_max_per_seq = limits.per_seq;
    }
    target_ = common_init_from_params(params_);
    if (!target_ || !target_->context())
      throw std::runtime_error("llama.cpp can't load " + params_.model.path);
    if (!assistant.empty()) {
      common_params draft_params = common_base_params_to_speculative(params_);
      assistant_ = common_speculative_init_from_params(draft_params, target_->model(), context());
      if (!assistant_->context()) throw std::runtime_error("llama.cpp can't load " + assistant);
      params_.speculative.draft.ctx_tgt = context();
      params_.speculative.draft.ctx_dft = assistant_->context();
    }
    start_over(false);
    decode({llama_vocab_bos(llama_model_get_vocab(target_->model()))}, 1);
    return {{"ms", milliseconds_since(start)}, {"system", llama_print_system_info()}};
  }

  json plain(const std::vector<llama_token>& prompt, int tokens) {
    start_over(false);
    const auto start = Clock::now();
    std::vector<llama_token> ids = {decode(prompt, 1).back()};
    const double prefill_ms = milliseconds_since(start);
    const auto first = Clock::now();
    while (static_cast<int>(ids.size()) < tokens) ids.push_back(decode({ids.back()}, 1).back());
    return {{"ids", ids}, {"prefillMs", prefill_ms}, {"decodeMs", milliseconds_since(first)}};
  }

  json drafted(const std::vector<llama_token>& prompt, int tokens, int draft_tokens) {
    begin_drafting(prompt, draft_tokens);
    const auto first = Clock::now();
    int rounds = 0;
    int proposed = 0;
    int accepted = 0;
    std::vector<llama_token> ids = {bonus_};
    while (static_cast<int>(ids.size()) < tokens) {
      const int most = std::min<int>(draft_tokens, tokens - static_cast<int>(ids.size()) - 1);
      const llama_tokens drafts = most > 0 ? draft(most) : llama_tokens{};
      const std::vector<llama_token> taken = verify(drafts);
      rounds += 1;
      proposed += static_cast<int>(drafts.size());
      accepted += static_cast<int>(taken.size()) - 1;
      ids.insert(ids.end(), taken.begin(), taken.end());
    }
    const double decode_ms = milliseconds_since(first);
    ids.resize(tokens);
    return {{"ids", ids},
            {"decodeMs", decode_ms},
            {"rounds", rounds},
            {"proposed", proposed},
            {"accepted", accepted}};
  }

  json prefill(const std::vector<llama_token>& prompt) {
    start_over(false);
    const auto start = Clock::now();
    decode(prompt, 1);
    return {{"ms", milliseconds_since(start)}};
  }

  /** Steps of `rows` tokens after the prompt, all kept. */
  json step(const std::vector<llama_token>& prompt, int rows, int repeat) {
    start_over(false);
    decode(prompt, 1);
    std::vector<llama_token> block(prompt.end() - std::min<size_t>(rows, prompt.size()), prompt.end());
    std::vector<double> times;
    for (int i = 0; i < repeat; i++) {
      const auto start = Clock::now();
      decode(block, rows);
      times.push_back(milliseconds_since(start));
    }
    return {{"ms", times}};
  }

  /** Rounds of drafts after the prompt, none of which is verified. */
  json draft_steps(const std::vector<llama_token>& prompt, int draft_tokens, int repeat) {
    begin_drafting(prompt, draft_tokens);
    std::vector<double> times;
    for (int i = 0; i < repeat; i++) {
      const auto start = Clock::now();
      const llama_tokens drafts = draft(draft_tokens);
      times.push_back(milliseconds_since(start) / static_cast<double>(drafts.size()));
    }
    return {{"ms", times}};
  }

  llama_context* context() { return target_->context(); }

  void start_over(bool drafting) {
    speculative_.reset();
    llama_memory_clear(llama_get_memory(context()), true);
    // Hidden rows for the drafter cost something; plain decoding does without.
    llama_set_embeddings_nextn(context(), drafting, false);
    past_.clear();
  }

  /** Processes `tokens` after what is there; the argmax of the last `outputs` rows. */
  std::vector<llama_token> decode(const std::vector<llama_token>& tokens, int outputs) {
    common_batch batch(context());
    const int count = static_cast<int>(tokens.size());
    for (int i = 0; i < count; i++) {
      batch.add(tokens[i], static_cast<llama_pos>(past_.size()) + i, 0, i >= count - outputs);
    }
    if (count > static_cast<int>(llama_n_batch(context())))
      throw std::runtime_error("the prompt exceeds n_batch");
    if (llama_process(context(), LLAMA_PROCESS_TYPE_DECODE, batch.get()) != 0) {
      throw std::runtime_error("llama_process failed");
    }
    if (speculative_ && !common_speculative_process(speculative_.get(), batch)) {
      throw std::runtime_error("common_speculative_process failed");
    }
    past_.insert(past_.end(), tokens.begin(), tokens.end());
    const int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(target_->model()));
    std::vector<llama_token> best;
    for (int i = count - outputs; i < count; i++) {
      const float* logits = llama_get_logits_ith(context(), i);
      best.push_back(static_cast<llama_token>(std::max_element(logits, logits + vocabulary) - logits));
    }
    return best;
  }

  void begin_drafting(const std::vector<llama_token>& prompt, int draft_tokens) {
    if (!assistant_) throw std::runtime_error("no assistant is loaded");
    start_over(true);
    params_.speculative.draft.n_max = draft_tokens;
    speculative_.reset(common_speculative_init(params_.speculative, 1));
    if (!speculative_) throw std::runtime_error("common_speculative_init failed");
    bonus_ = decode(prompt, 1).back();
    common_speculative_begin(speculative_.get(), 0, past_);
  }

  llama_tokens draft(int most) {
    llama_tokens result;
    auto& request = common_speculative_get_draft_params(speculative_.get(), 0);
    request.drafting = true;
    request.n_max = most;
    request.pos0 = static_cast<llama_pos>(past_.size());
    request.id_last = bonus_;
    request.prompt = &past_;
    request.result = &result;
    common_speculative_draft(speculative_.get());
    // The draft context shares the target's cache: what it may have written after the kept tokens goes.
    llama_memory_seq_rm(llama_get_memory(assistant_->context()), 0, static_cast<llama_pos>(past_.size()), -1);
    return result;
  }

  /** The accepted drafts and the token after them, which becomes the bonus. */
  std::vector<llama_token> verify(const llama_tokens& drafts) {
    const size_t start = past_.size();
    std::vector<llama_token> block = {bonus_};
    block.insert(block.end(), drafts.begin(), drafts.end());
    const std::vector<llama_token> best = decode(block, static_cast<int>(block.size()));
    size_t accepted = 0;
    while (accepted < drafts.size() && drafts[accepted] == best[accepted]) accepted++;
    common_speculative_accept(speculative_.get(), 0, static_cast<uint16_t>(accepted));
    past_.resize(start + accepted + 1);
    const auto end = static_cast<llama_pos>(past_.size());
    llama_memory_seq_rm(llama_get_memory(context()), 0, end, -1);
    llama_memory_seq_rm(llama_get_memory(assistant_->context()), 0, end, -1);
    bonus_ = best[accepted];
    return {best.begin(), best.begin() + static_cast<long>(accepted) + 1};
  }

  static constexpr int kMaxDrafts = 15;
  common_params params_;
  common_init_result_ptr target_;
  common_speculative_init_result_ptr assistant_;
  common_speculative_ptr speculative_;
  /** Tokens that the target has processed and kept. */
  llama_tokens past_;
  /** The last accepted token, which the target has not processed. */
  llama_token bonus_ = 0;
};

}  // namespace

int main() {
  std::setlocale(LC_NUMERIC, "C");
  // What llama.cpp logs would mix with the answers.
  llama_log_set(
      [](ggml_log_level level, const char* text, void*) {
        if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
      },
      nullptr);
  llama_backend_init();
  {
    Peer peer;
    std::string line;
    while (std::getline(std::cin, line)) {
      json answer;
      try {
        answer = peer.answer(json::parse(line));
      } catch (const std::exception& error) {
        answer = {{"error", error.what()}};
      }
      std::cout << answer.dump() << std::endl;
    }
  }
  llama_backend_free();
}
