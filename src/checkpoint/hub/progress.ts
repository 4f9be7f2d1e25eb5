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
  /**
   * All files that are known to be needed. Comes a second time, with the weights among them, when config and index
   * are there.
   */
  | {
      readonly type: "plan";
      readonly id: string;
      readonly commit: string;
      readonly files: readonly PlannedFile[];
    }
  /** `done` bytes of a file are on disk. It can fall: a file that changed or broke starts anew. */
  | { readonly type: "bytes"; readonly name: string; readonly done: number }
  /** The file is whole, checked, and under its final name. */
  | { readonly type: "done"; readonly name: string }
  /** Nothing moves, for a reason that a user should know. `name` is absent when it concerns no single file. */
  | { readonly type: "waiting"; readonly name?: string; readonly reason: string };
