import type { Readable } from "node:stream";

/** Bytes that may wait for their reader. */
const HELD = 1024 * 1024;

/**
 * The bytes of a stream, received from now on. A stream that breaks throws away what its reader has not fetched yet;
 * here all that has arrived is handed out before the error is thrown. To be iterated once.
 */
export function received(stream: Readable): AsyncIterable<Uint8Array> {
  const queue: Uint8Array[] = [];
  let held = 0;
  let end: { readonly error?: unknown } | undefined;
  let wake = () => {};
  const ended = (how: { readonly error?: unknown }) => {
    end ??= how;
    wake();
  };
  stream
    .on("data", (bytes: Uint8Array) => {
      queue.push(bytes);
      held += bytes.length;
      if (held >= HELD) stream.pause();
      wake();
    })
    .on("error", (error) => ended({ error }))
    .once("end", () => ended({}))
    .once("close", () => ended({ error: new Error("closed early") }));
  return {
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const bytes = queue.shift();
        if (bytes) {
          held -= bytes.length;
          if (held < HELD) stream.resume();
          yield bytes;
        } else if (end) {
          if (end.error !== undefined) throw end.error;
          return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    },
  };
}
