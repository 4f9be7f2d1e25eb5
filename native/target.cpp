#include "target.h"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "array.h"
#include "gemma4/model.h"
#include "guard.h"
#include "target_config.h"

namespace mlx_gemma {

namespace {

using gemma4::Caches;
using gemma4::LayerType;
using gemma4::Model;
using gemma4::Rows;
using ModelPtr = std::shared_ptr<const Model>;

/** What is told to V8 of native memory: kept equal to `bytes` and taken back at the end. */
class ReportedMemory {
 public:
  void Set(Napi::Env env, size_t bytes) {
    const int64_t change = static_cast<int64_t>(bytes) - reported_;
    if (change != 0) Napi::MemoryManagement::AdjustExternalMemory(env, change);
    reported_ = static_cast<int64_t>(bytes);
  }

 private:
  int64_t reported_ = 0;
};

/** What a constructor is given: its call comes through JavaScript, which must not be able to make one itself.
 */
struct Making {
  ModelPtr model;
  size_t bytes = 0;
  int max_block = 0;
};

/** Of one JavaScript environment; lives as long as it does. */
struct Classes {
  Napi::FunctionReference target;
  Napi::FunctionReference session;
  /** Set only while C++ calls a constructor. */
  std::optional<Making> making;

  Napi::Object Make(Napi::FunctionReference& constructor, Making with) {
    making = std::move(with);
    try {
      Napi::Object made = constructor.New({});
      making.reset();
      return made;
    } catch (...) {
      making.reset();
      throw;
    }
  }
};

Making TakeMaking(const Napi::CallbackInfo& info, const char* name) {
  auto* classes = static_cast<Classes*>(info.Data());
  if (!classes->making) throw Napi::TypeError::New(info.Env(), std::string(name) + " has no constructor");
  return *std::exchange(classes->making, std::nullopt);
}

constexpr napi_type_tag kTargetTag = {0x6d6c7867656d6d61, 0x7461726765740001};
constexpr napi_type_tag kSessionTag = {0x6d6c7867656d6d61, 0x73657373696f6e01};

Rows ParseRows(const Napi::Value& value) {
  const std::string text = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (text == "all") return Rows::kAll;
  if (text == "last") return Rows::kLast;
  if (text == "none") return Rows::kNone;
  throw std::invalid_argument("rows must be \"all\", \"last\" or \"none\"");
}

int ParseInt(const Napi::Value& value, const char* name) {
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    const int32_t integer = value.As<Napi::Number>().Int32Value();
    if (number == integer) return integer;
  }
  throw std::invalid_argument(std::string(name) + " must be an integer");
}

/** NativeSession. */
class Session : public Napi::ObjectWrap<Session> {
 public:
  static Napi::Function Define(Napi::Env env, Classes* classes) {
    return DefineClass(
        env, "NativeSession",
        {InstanceAccessor<&Session::Position>("position"), InstanceMethod<&Session::Forward>("forward"),
         InstanceMethod<&Session::Keep>("keep"), InstanceMethod<&Session::Mark>("mark"),
         InstanceMethod<&Session::Rewind>("rewind"), InstanceMethod<&Session::SharedKv>("sharedKv"),
         InstanceMethod<&Session::Pending>("pending"), InstanceMethod<&Session::Dispose>("dispose")},
        classes);
  }

  explicit Session(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Session>(info) {
    Making with = TakeMaking(info, "NativeSession");
    Guarded(info.Env(), [&] {
      model_ = std::move(with.model);
      caches_.emplace(model_->config(), with.max_block, model_->dtype());
      Value().TypeTag(&kSessionTag);
    });
  }

  void Finalize(Napi::Env env) override { Free(env); }

 private:
  Napi::Value Position(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), Open(info).position()); });
  }

  Napi::Value Forward(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return Guarded(env, [&]() -> Napi::Value {
      Caches& caches = Open(info);
      const Rows rows = ParseRows(info[1]);
      const std::optional<gemma4::Output> output = model_->forward(UnwrapArray(info[0]), caches, rows);
      memory_.Set(env, caches.nbytes());
      if (!output) return env.Null();
      Napi::Object result = Napi::Object::New(env);
      result.Set("logits", WrapArray(env, output->logits));
      result.Set("lastHidden", WrapArray(env, output->last_hidden));
      return result;
    });
  }

  void Keep(const Napi::CallbackInfo& info) {
    Guarded(info.Env(), [&] { Open(info).keep(ParseInt(info[0], "keep: n")); });
  }

  void Mark(const Napi::CallbackInfo& info) {
    Guarded(info.Env(), [&] { Open(info).mark(); });
  }

  void Rewind(const Napi::CallbackInfo& info) {
    Guarded(info.Env(), [&] {
      Caches& caches = Open(info);
      caches.rewind(ParseInt(info[0], "rewind: position"));
      memory_.Set(info.Env(), caches.nbytes());
    });
  }

  Napi::Value SharedKv(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return Guarded(env, [&] {
      Caches& caches = Open(info);
      Napi::Object result = Napi::Object::New(env);
      for (LayerType type : gemma4::kAllLayerTypes) {
        const std::optional<gemma4::KvView> view = caches.exported(type);
        if (!view) continue;
        Napi::Object pair = Napi::Object::New(env);
        pair.Set("keys", WrapOwned(env, view->keys));
        pair.Set("values", WrapOwned(env, view->values));
        result.Set(gemma4::name(type), pair);
      }
      return result;
    });
  }

  Napi::Value Pending(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return Guarded(env, [&] {
      const std::vector<mlx::core::array> arrays = Open(info).pending();
      Napi::Array result = Napi::Array::New(env, arrays.size());
      for (uint32_t i = 0; i < arrays.size(); ++i) result.Set(i, WrapOwned(env, arrays[i]));
      return result;
    });
  }

  void Dispose(const Napi::CallbackInfo& info) {
    Guarded(info.Env(), [&] {
      CheckTag(info);
      Free(info.Env());
    });
  }

  static void CheckTag(const Napi::CallbackInfo& info) { CheckThis(info, kSessionTag, "a session"); }

  Caches& Open(const Napi::CallbackInfo& info) {
    CheckTag(info);
    if (!caches_) throw std::logic_error("the session is disposed");
    return *caches_;
  }

  void Free(Napi::Env env) {
    // A step may be under way still, when the session was lost rather than disposed.
    if (caches_) {
      for (const mlx::core::array& buffer : caches_->buffers()) ReleaseArray(buffer);
    }
    caches_.reset();
    model_.reset();
    memory_.Set(env, 0);
  }

  ModelPtr model_;
  std::optional<Caches> caches_;
  ReportedMemory memory_;
};

/** NativeTarget. */
class Target : public Napi::ObjectWrap<Target> {
 public:
  static Napi::Function Define(Napi::Env env, Classes* classes) {
    return DefineClass(env, "NativeTarget",
                       {InstanceMethod<&Target::CreateSession>("createSession", napi_default_method, classes),
                        InstanceMethod<&Target::Embed>("embed"), InstanceMethod<&Target::Dispose>("dispose")},
                       classes);
  }

  explicit Target(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Target>(info) {
    Making with = TakeMaking(info, "NativeTarget");
    Guarded(info.Env(), [&] {
      model_ = std::move(with.model);
      memory_.Set(info.Env(), with.bytes);
      Value().TypeTag(&kTargetTag);
    });
  }

  void Finalize(Napi::Env env) override { Free(env); }

 private:
  Napi::Value CreateSession(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&]() -> Napi::Value {
      const ModelPtr& model = Open(info);
      auto* classes = static_cast<Classes*>(info.Data());
      return classes->Make(classes->session,
                           {.model = model, .max_block = ParseInt(info[0], "createSession: maxBlock")});
    });
  }

  Napi::Value Embed(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      const ModelPtr& model = Open(info);
      return WrapArray(info.Env(), model->embed(UnwrapArray(info[0])));
    });
  }

  void Dispose(const Napi::CallbackInfo& info) {
    Guarded(info.Env(), [&] {
      CheckTag(info);
      Free(info.Env());
    });
  }

  static void CheckTag(const Napi::CallbackInfo& info) { CheckThis(info, kTargetTag, "a target"); }

  const ModelPtr& Open(const Napi::CallbackInfo& info) {
    CheckTag(info);
    if (!model_) throw std::logic_error("the target is disposed");
    return model_;
  }

  void Free(Napi::Env env) {
    model_.reset();
    memory_.Set(env, 0);
  }

  ModelPtr model_;
  ReportedMemory memory_;
};

/** createTarget(config, weights) */
Napi::Value CreateTarget(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    gemma4::Config config = ParseTargetConfig(info[0]);
    if (!info[1].IsObject()) throw std::invalid_argument("createTarget: weights must be an object");
    const Napi::Object object = info[1].As<Napi::Object>();
    std::unordered_map<std::string, mlx::core::array> by_name;
    size_t bytes = 0;
    const Napi::Array names = object.GetPropertyNames();
    for (uint32_t i = 0; i < names.Length(); ++i) {
      const std::string name = names.Get(i).ToString().Utf8Value();
      const mlx::core::array& tensor = UnwrapArray(object.Get(name));
      bytes += tensor.nbytes();
      by_name.emplace(name, tensor);
    }
    const gemma4::Weights weights(std::move(by_name), ParseQuantization(info[0]));
    auto model = std::make_shared<const Model>(std::move(config), weights);
    auto* classes = static_cast<Classes*>(info.Data());
    return classes->Make(classes->target, {.model = std::move(model), .bytes = bytes});
  });
}

}  // namespace

void RegisterTarget(Napi::Env env, Napi::Object exports) {
  auto* classes = new Classes();
  env.AddCleanupHook([](Classes* gone) { delete gone; }, classes);
  classes->target = Napi::Persistent(Target::Define(env, classes));
  classes->session = Napi::Persistent(Session::Define(env, classes));
  exports.Set("createTarget", Napi::Function::New(env, CreateTarget, "createTarget", classes));
}

int64_t CacheCopies() { return gemma4::cache_copies().load(); }

}  // namespace mlx_gemma
