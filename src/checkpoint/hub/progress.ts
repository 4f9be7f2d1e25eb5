/** A file of a download. */
export interface PlannedFile {
  readonly name: string;
  /** Bytes of the whole file. */
  readonly bytes: number;
  /** Bytes that are there already: all of a file that the cache has, or a part from an earlier run. */
  readonly had: number;
}

/** What a download tells while it runs. Several files are on their way at once. */
export type HubProgress =
  /** Before the first byte of the weights. Comes again when the index has told which shards there are. */
  | {
      readonly type: "plan";
      readonly id: string;
      readonly commit: string;
      readonly files: readonly PlannedFile[];
    }
  /** `done` of a file's bytes are on disk. It can fall: a file that changed or broke starts anew. */
  | { readonly type: "bytes"; readonly name: string; readonly done: number; readonly bytes: number }
  /** The file is whole, checked, and under its final name. */
  | { readonly type: "done"; readonly name: string; readonly bytes: number }
  /** Nothing moves for a reason that a user should know. `name` is absent when it concerns no single file. */
  | { readonly type: "waiting"; readonly name?: string; readonly reason: string };
