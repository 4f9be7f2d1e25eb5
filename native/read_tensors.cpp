#include "read_tensors.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "array.h"
#include "file_reader.h"
#include "guard.h"
#include "kernels/kernels.h"
#include "mlx/allocator.h"
#include "mlx/ops.h"
#include "mlx/stream.h"
#include "mlx/transforms.h"
#include "release.h"

namespace mlx_gemma {

namespace mx = mlx::core;

namespace {

/** More threads than this wait for memory or for the disk. */
constexpr int kMostThreads = 8;
/** What is read before it is cast: so much of a cast tensor's file stands beside the result at a time. */
constexpr size_t kBatch = size_t{256} << 20;

/** One of `readTensors`' sources. */
struct Source {
  size_t file;
  uint64_t offset;
  size_t bytes;
  mx::Shape shape;
  mx::Dtype stored;
  mx::Dtype wanted;
};

using Cancelled = std::shared_ptr<std::atomic<bool>>;

class Reading : public Napi::AsyncWorker {
 public:
  Reading(Napi::Env env, std::vector<std::string> files, std::vector<Source> sources, Cancelled cancelled)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        files_(std::move(files)),
        sources_(std::move(sources)),
        cancelled_(std::move(cancelled)),
        stream_(mx::default_stream(mx::default_device())),
        threads_(std::min(kernels::threads(), kMostThreads)) {}

  Napi::Promise Promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    try {
      const FileReader reader(files_);
      for (auto from = sources_.begin(); from != sources_.end();) {
        auto to = from;
        for (size_t bytes = 0; to != sources_.end() && (to == from || bytes + to->bytes <= kBatch); ++to) {
          bytes += to->bytes;
        }
        ReadBatch(reader, {from, to});
        if (*cancelled_) throw std::runtime_error("reading was cancelled");
        from = to;
      }
    } catch (const ReadError& error) {
      failed_file_ = error.file();
      SetError(error.what());
    } catch (const std::exception& error) {
      SetError(error.what());
    } catch (...) {
      SetError("unknown native error");
    }
  }

  void OnOK() override {
    try {
      Napi::Array result = Napi::Array::New(Env(), arrays_.size());
      for (uint32_t i = 0; i < arrays_.size(); ++i) result.Set(i, WrapArray(Env(), std::move(arrays_[i])));
      deferred_.Resolve(result);
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    }
  }

  void OnError(const Napi::Error& error) override {
    if (failed_file_) error.Value().Set("file", *failed_file_);
    deferred_.Reject(error.Value());
  }

 private:
  void ReadBatch(const FileReader& reader, const std::vector<Source>& batch) {
    std::vector<mx::array> stored;
    std::vector<Extent> extents;
    for (const Source& source : batch) {
      mx::allocator::Data data = mx::allocator::malloc(source.bytes);
      mx::allocator::Buffer buffer = data.buffer();
      extents.push_back({.file = source.file,
                         .offset = source.offset,
                         .bytes = source.bytes,
                         .data = static_cast<char*>(buffer.raw_ptr())});
      stored.emplace_back(std::move(data), source.shape, source.stored);
    }
    reader.fill(extents, threads_, *cancelled_);
    if (*cancelled_) return;
    Cast(batch, std::move(stored));
  }

  /** Keeps a batch as it is wanted; what it was cast from goes. */
  void Cast(const std::vector<Source>& batch, std::vector<mx::array> stored) {
    std::vector<mx::array> cast;
    for (size_t i = 0; i < batch.size(); ++i) {
      if (batch[i].wanted == batch[i].stored) {
        arrays_.push_back(std::move(stored[i]));
      } else {
        arrays_.push_back(mx::astype(stored[i], batch[i].wanted, stream_));
        cast.push_back(arrays_.back());
      }
    }
    if (cast.empty()) return;
    const EvaluationTurn turn;
    mx::eval(std::move(cast));
    stored.clear();  // Within the turn.
  }

  Napi::Promise::Deferred deferred_;
  const std::vector<std::string> files_;
  const std::vector<Source> sources_;
  const Cancelled cancelled_;
  /** The worker thread has others of its own. */
  const mx::Stream stream_;
  const int threads_;
  std::vector<mx::array> arrays_;
  std::optional<std::string> failed_file_;
};

Source ParseSource(const Napi::Object& object, std::vector<std::string>& files) {
  const std::string file = object.Get("file").ToString();
  const auto known = std::find(files.begin(), files.end(), file);
  Source source{.file = static_cast<size_t>(known - files.begin()),
                .offset = static_cast<uint64_t>(object.Get("offset").ToNumber().Int64Value()),
                .bytes = 0,
                .shape = ParseShape(object.Get("shape")),
                .stored = ParseDtype(object.Get("dtype")),
                .wanted = ParseDtype(object.Get("as"))};
  if (known == files.end()) files.push_back(file);
  source.bytes = mx::size_of(source.stored);
  for (int extent : source.shape) source.bytes *= static_cast<size_t>(extent);
  return source;
}

Napi::Value ReadTensors(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    if (!info[0].IsArray()) throw std::invalid_argument("readTensors: expected a list of tensors");
    const auto list = info[0].As<Napi::Array>();
    std::vector<std::string> files;
    std::vector<Source> sources;
    for (uint32_t i = 0; i < list.Length(); ++i) {
      const Napi::Value entry = list.Get(i);
      if (!entry.IsObject()) throw std::invalid_argument("readTensors: expected a list of tensors");
      sources.push_back(ParseSource(entry.As<Napi::Object>(), files));
    }
    const auto cancelled = std::make_shared<std::atomic<bool>>(false);
    auto* reading = new Reading(info.Env(), std::move(files), std::move(sources), cancelled);
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("arrays", reading->Promise());
    result.Set("cancel", Napi::Function::New(info.Env(),
                                             [cancelled](const Napi::CallbackInfo&) { *cancelled = true; }));
    reading->Queue();
    return result;
  });
}

}  // namespace

void RegisterReadTensors(Napi::Env env, Napi::Object exports) {
  exports.Set("readTensors", Napi::Function::New<ReadTensors>(env, "readTensors"));
}

}  // namespace mlx_gemma
