import { openTarget } from "../../../src/checkpoint/index.js";
import type { TargetConfig } from "../../../src/checkpoint/types.js";
import type { Drafter } from "../../../src/drafter/drafter.js";
import { DTYPE_OF, type LoadedPair } from "../../../src/load.js";
import type { MlxArray } from "../../../src/mlx/array.js";
import * as ops from "../../../src/mlx/ops.js";
import { Gemma4Target } from "../../../src/target/gemma4-target.js";
import type { KeysValues, SharedKv, Target, TargetSession } from "../../../src/target/target.js";
import { type Configuration, dtypeOf } from "./configuration.js";
import type { Judge, Tamper } from "./trial.js";

/** A defect that speculative decoders have had, and who must find it. */
export interface Plant {
  readonly defect: string;
  /** In what it is planted. */
  readonly place: string;
  /** In drafted runs alone, or in everything that runs on the pair, plain decoding too. */
  readonly tamper: Tamper;
  readonly everywhere?: true;
  readonly judge: Judge;
}

/** Session methods that a plant replaces. */
type Changes = (session: TargetSession) => Partial<TargetSession>;

/**
 * What is planted in a session's `keep`, or in what the drafter is given, shows in drafted runs alone; what is in the
 * model itself both sides have, and only numbers from elsewhere tell.
 */
export const PLANTS: readonly Plant[] = [
  {
    defect: "a rejected key stays visible",
    place: "the target's caches",
    tamper: async (pair) => withSession(pair, keepingMore),
    judge: "text",
  },
  {
    defect: "a rejected key stays visible",
    place: "the K/V that the drafter reads",
    tamper: async (pair) => withSession(pair, showingRejected),
    judge: "drafts",
  },
  {
    defect: "the window is off by one",
    place: "the target's layers",
    tamper: (pair, configuration, folder) => withConfig(pair, configuration, folder, wider),
    judge: "text",
  },
  {
    defect: "the window is off by one",
    place: "the target's layers, everywhere",
    tamper: (pair, configuration, folder) => withConfig(pair, configuration, folder, wider),
    everywhere: true,
    judge: "reference",
  },
  {
    defect: "the window is off by one",
    place: "the K/V that the drafter reads",
    tamper: async (pair, { model }) => withSession(pair, (session) => hidingOldest(session, model.window)),
    judge: "drafts",
  },
  {
    defect: "the position is off by one",
    place: "the target's caches",
    tamper: async (pair) => withSession(pair, keepingFewer),
    judge: "text",
  },
  {
    defect: "the position is off by one",
    place: "the drafter's rope",
    tamper: async (pair) => withDrafter(pair, earlier),
    judge: "drafts",
  },
  {
    defect: "the position is off by one",
    place: "the drafter's rope, everywhere",
    tamper: async (pair) => withDrafter(pair, earlier),
    everywhere: true,
    judge: "reference",
  },
  {
    defect: "the last hidden row is stale",
    place: "what the drafter gets",
    tamper: async (pair) => withSession(pair, rowBefore),
    judge: "drafts",
  },
  {
    defect: "the embedding lacks its scale",
    place: "what the drafter gets",
    tamper: async (pair) => withTarget(pair, { embed: unscaled(pair.target) }),
    judge: "drafts",
  },
  {
    defect: "the embedding lacks its scale",
    place: "what the drafter gets, everywhere",
    tamper: async (pair) => withTarget(pair, { embed: unscaled(pair.target) }),
    everywhere: true,
    judge: "reference",
  },
  {
    defect: "K/V of the wrong producer",
    place: "the target's layers that share",
    tamper: (pair, configuration, folder) => withConfig(pair, configuration, folder, firstProducers),
    judge: "text",
  },
  {
    defect: "K/V of the wrong producer",
    place: "the target's layers that share, everywhere",
    tamper: (pair, configuration, folder) => withConfig(pair, configuration, folder, firstProducers),
    everywhere: true,
    judge: "reference",
  },
  {
    defect: "K/V of the wrong producer",
    place: "the K/V that the drafter reads",
    tamper: withEarlierExport,
    judge: "drafts",
  },
];

function withTarget(pair: LoadedPair, changes: Partial<Target>): LoadedPair {
  const { target } = pair;
  return {
    ...pair,
    target: {
      vocabSize: target.vocabSize,
      hiddenSize: target.hiddenSize,
      maxPositionEmbeddings: target.maxPositionEmbeddings,
      openSession: (maxBlock) => target.openSession(maxBlock),
      embed: (tokens) => target.embed(tokens),
      [Symbol.dispose]() {},
      ...changes,
    },
    [Symbol.dispose]() {},
  };
}

function withSession(pair: LoadedPair, changes: Changes): LoadedPair {
  return withTarget(pair, {
    openSession(maxBlock) {
      const session = pair.target.openSession(maxBlock);
      return changedSession(session, changes(session));
    },
  });
}

function changedSession(session: TargetSession, changes: Partial<TargetSession>): TargetSession {
  return {
    get position() {
      return session.position;
    },
    prefill: (tokens, options) => session.prefill(tokens, options),
    step: (tokens) => session.step(tokens),
    pending: () => session.pending(),
    keep: (n) => session.keep(n),
    mark: () => session.mark(),
    rewind: (position) => session.rewind(position),
    sharedKv: () => session.sharedKv(),
    [Symbol.dispose]: () => session[Symbol.dispose](),
    ...changes,
  };
}

function withDrafter(pair: LoadedPair, change: (drafter: Drafter) => Drafter): LoadedPair {
  const { drafter } = pair;
  return { ...pair, ...(drafter ? { drafter: change(drafter) } : {}), [Symbol.dispose]() {} };
}

/** The same weights under another configuration. */
async function withConfig(
  pair: LoadedPair,
  configuration: Configuration,
  folder: string,
  change: (config: TargetConfig) => TargetConfig,
): Promise<LoadedPair> {
  const checkpoint = openTarget(folder);
  const target = await Gemma4Target.load(
    { ...checkpoint, config: change(checkpoint.config) },
    { dtype: DTYPE_OF[dtypeOf(configuration)] },
  );
  return { ...pair, target, [Symbol.dispose]: () => target[Symbol.dispose]() };
}

const wider = (config: TargetConfig): TargetConfig => ({
  ...config,
  slidingWindow: config.slidingWindow + 1,
});

/** Layers that share read the first producer of their type instead of the last. */
function firstProducers(config: TargetConfig): TargetConfig {
  const layers = config.layers.map((layer, index) =>
    layer.kvSource === index
      ? layer
      : { ...layer, kvSource: config.layers.findIndex(({ type }) => type === layer.type) },
  );
  return { ...config, layers };
}

/** Counts the rows of the last step, which `keep` cuts. */
function cutting(session: TargetSession, keep: (n: number, rows: number) => void): Partial<TargetSession> {
  let rows = 0;
  return {
    step(tokens) {
      rows = tokens.shape[1] ?? 0;
      return session.step(tokens);
    },
    keep: (n) => keep(n, rows),
  };
}

const keepingMore: Changes = (session) => cutting(session, (n, rows) => session.keep(Math.min(n + 1, rows)));

const keepingFewer: Changes = (session) =>
  cutting(session, (n, rows) => session.keep(n < rows ? Math.max(n - 1, 1) : n));

const showingRejected: Changes = (session) => {
  let seen: SharedKv | undefined;
  return {
    ...cutting(session, (n, rows) => {
      session.keep(Math.min(n + 1, rows));
      seen = n < rows ? session.sharedKv() : undefined;
      session.keep(n);
    }),
    sharedKv: () => seen ?? session.sharedKv(),
  };
};

const hidingOldest = (session: TargetSession, window: number): Partial<TargetSession> => ({
  sharedKv() {
    const shared = session.sharedKv();
    const { sliding_attention: sliding } = shared;
    if (!sliding || (sliding.keys.shape[2] ?? 0) < Math.max(2, window - 1)) return shared;
    const newer = (array: MlxArray) => ops.slice(array, [0, 0, 1, 0], [...array.shape]);
    const cut: KeysValues = { keys: newer(sliding.keys), values: newer(sliding.values) };
    return { ...shared, sliding_attention: cut };
  },
});

/** Each row of a block is the one before it. */
const rowBefore: Changes = (session) => ({
  step(tokens) {
    const output = session.step(tokens);
    const [, rows = 0, width = 0] = output.lastHidden.shape;
    if (rows < 2) return output;
    const part = (begin: number, end: number) => ops.slice(output.lastHidden, [0, begin, 0], [1, end, width]);
    return { ...output, lastHidden: ops.concatenate([part(0, 1), part(0, rows - 1)], 1) };
  },
});

const earlier = (drafter: Drafter): Drafter => ({
  propose: (context) => drafter.propose({ ...context, position: context.position - 1 }),
  [Symbol.dispose]() {},
});

const unscaled = (target: Target) => (tokens: MlxArray) => {
  const embedding = target.embed(tokens);
  return ops.divide(
    embedding,
    ops.astype(ops.scalar(Math.sqrt(target.hiddenSize), "float32"), embedding.dtype),
  );
};

/** The drafter reads the sliding K/V that a producer before the last one made: a second target without the last exports them. */
async function withEarlierExport(
  pair: LoadedPair,
  configuration: Configuration,
  folder: string,
): Promise<LoadedPair> {
  let found = false;
  const shadow = await withConfig(pair, configuration, folder, (config) => {
    const own = config.layers.flatMap(({ type, kvSource }, index) =>
      type === "sliding_attention" && kvSource === index ? [index] : [],
    );
    const [first, last] = [own.at(0), own.at(-1)];
    found = own.length > 1;
    const layers = config.layers.map((layer, index) =>
      index >= (last ?? 0) && layer.type === "sliding_attention" && first !== undefined
        ? { ...layer, kvSource: first }
        : layer,
    );
    return { ...config, layers };
  });
  const withShadow = withTarget(pair, {
    openSession(maxBlock) {
      const session = pair.target.openSession(maxBlock);
      const second = shadow.target.openSession(maxBlock);
      return changedSession(session, {
        async prefill(tokens, options) {
          const { logits, lastHidden } = await second.prefill(tokens, options);
          for (const array of [logits, lastHidden]) array.dispose();
          return session.prefill(tokens, options);
        },
        step(tokens) {
          second.step(tokens);
          return session.step(tokens);
        },
        pending: () => [...session.pending(), ...second.pending()],
        keep(n) {
          second.keep(n);
          session.keep(n);
        },
        mark() {
          second.mark();
          session.mark();
        },
        rewind(position) {
          session.rewind(position);
          second.rewind(session.position);
        },
        sharedKv() {
          const shared = session.sharedKv();
          const { sliding_attention: wrong } = second.sharedKv();
          return found && wrong ? { ...shared, sliding_attention: wrong } : shared;
        },
        [Symbol.dispose]() {
          second[Symbol.dispose]();
          session[Symbol.dispose]();
        },
      });
    },
  });
  return { ...withShadow, [Symbol.dispose]: () => shadow[Symbol.dispose]() };
}
