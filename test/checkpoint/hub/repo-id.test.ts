import { describe, expect, it } from "vitest";
import { checkRevision, describeRepo, parseRepoId } from "../../../src/checkpoint/hub/index.js";
import { MlxGemmaError } from "../../../src/errors.js";

describe("the name of a repository", () => {
  it.each([
    ["google/gemma-4-E2B-it", { id: "google/gemma-4-E2B-it" }],
    ["a/b", { id: "a/b" }],
    ["org/name@main", { id: "org/name", revision: "main" }],
    ["org/name@refs/pr/7", { id: "org/name", revision: "refs/pr/7" }],
    ["org/name_x.y@v1.0", { id: "org/name_x.y", revision: "v1.0" }],
    ["hf://org/name", { id: "org/name" }],
    ["hf://models/org/name@dev", { id: "org/name", revision: "dev" }],
  ])("%s", (text, ref) => {
    expect(parseRepoId(text)).toEqual(ref);
  });

  it.each([
    "name",
    "./org/name",
    "../name",
    "/org/name",
    "org/name/more",
    "org/..",
    "../..",
    "org/na--me",
    "org/na..me",
    "-org/name",
    "org/.name",
    "org/name.",
    "org/name.git",
    "org/na me",
    "org\\name",
    "org/na\nme",
    `org/${"n".repeat(96)}`,
    "",
  ])("is not %j", (text) => {
    expect(parseRepoId(text)).toBeUndefined();
    expect(() => parseRepoId(`hf://${text}`)).toThrow(MlxGemmaError);
  });

  it.each([
    "",
    "..",
    "../main",
    "a/../b",
    "/main",
    "main/",
    "a//b",
    ".main",
    "a/.b",
    "main.lock",
    "a b",
    "a\0b",
    "-f",
    "a\\b",
    "x".repeat(201),
  ])("has no revision %j", (revision) => {
    expect(() => checkRevision(revision)).toThrow(/--revision: expected a branch, tag or commit/);
    expect(() => parseRepoId(`org/name@${revision}`)).toThrow(MlxGemmaError);
  });

  it("is told with its revision, unless that is main", () => {
    expect(describeRepo({ id: "a/b", revision: "main" })).toBe("a/b");
    expect(describeRepo({ id: "a/b" })).toBe("a/b");
    expect(describeRepo({ id: "a/b", revision: "dev" })).toBe("a/b@dev");
  });
});
