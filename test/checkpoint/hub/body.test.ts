import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { received } from "../../../src/checkpoint/hub/body.js";

describe("a body", () => {
  it("hands out what had arrived before it broke", async () => {
    const stream = new PassThrough();
    const body = received(stream);
    for (let i = 0; i < 50; i++) stream.write(Buffer.alloc(1000, i));
    await sleep(20);
    stream.destroy(new Error("cut"));
    await sleep(20);
    let length = 0;
    const read = async () => {
      for await (const bytes of body) length += bytes.length;
    };
    await expect(read()).rejects.toThrow("cut");
    expect(length).toBe(50_000);
  });

  it("holds a sender back whose bytes nobody reads", async () => {
    const stream = new PassThrough({ highWaterMark: 1000 });
    const body = received(stream);
    let sent = 0;
    while (sent < 8_000_000 && (stream.write(Buffer.alloc(100_000)) || sent < 2_000_000)) {
      sent += 100_000;
      await sleep(0);
    }
    expect(sent).toBeLessThan(4_000_000);
    stream.end();
    let length = 0;
    for await (const bytes of body) length += bytes.length;
    expect(length).toBeGreaterThanOrEqual(sent);
  });

  it("that is closed without an end is no whole one", async () => {
    const stream = new PassThrough();
    const body = received(stream);
    stream.destroy();
    const read = async () => {
      for await (const _ of body);
    };
    await expect(read()).rejects.toThrow("closed early");
  });
});
