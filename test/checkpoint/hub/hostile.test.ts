import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { hubEnvironment } from "../../../src/checkpoint/hub/environment.js";
import {
  environmentOf,
  failureOf,
  fixture,
  holds,
  ID,
  noise,
  REPO,
  TOKEN,
  WEIGHTS,
} from "./download-fixture.js";
import { type Handler, json, listed, refuse, send, sha256, storageEtag } from "./fake-hub.js";

const fix = fixture();
const failure = (code: "hub" | "disk" | "checkpoint" | "usage", options = {}) =>
  failureOf(fix.resolve(options), code);

/** No file has its final name that is not whole, and nothing lies outside the cache. */
function nothingBroken(): void {
  const blobs = join(fix.cache, "models--org--gemma", "blobs");
  if (!existsSync(blobs)) return;
  for (const name of readdirSync(blobs)) {
    if (name.endsWith(".incomplete")) continue;
    const sizes = Object.values(REPO).map((data) => Buffer.from(data).length);
    expect(sizes).toContain(statSync(join(blobs, name)).size);
  }
  expect(existsSync(join(fix.cache, "models--org--gemma", "refs"))).toBe(false);
}

const onResolve =
  (handler: Handler): Handler =>
  (request, response, path) =>
    path.includes("/resolve/") && handler(request, response, path);

describe("a refusal", () => {
  const answer = (status: number, code: string, message: string) => {
    fix.hub.hub = (_, response) => {
      refuse(response, status, code, message);
      return true;
    };
  };
  const anonymous = () => ({ environment: environmentOf(fix.hub.endpoint, fix.cache) });

  it.each<[string, number, string, string, boolean, RegExp]>([
    [
      "gated, logged in",
      403,
      "GatedRepo",
      "x",
      true,
      /gated, and your token's account has no access; accept its terms at http:\/\/127.*org\/gemma/,
    ],
    [
      "gated, not logged in",
      401,
      "GatedRepo",
      "x",
      false,
      /gated; accept its terms at http.*, then log in \(hf auth login\) or set HF_TOKEN/,
    ],
    [
      "missing",
      404,
      "RepoNotFound",
      "Repository not found",
      true,
      /found none of that name; check the spelling \(or it is private and your token has no access\)/,
    ],
    [
      "missing or private, not logged in",
      401,
      "RepoNotFound",
      "Repository not found",
      false,
      /check the spelling \(or it is private and you are not logged in: log in/,
    ],
    [
      "a missing revision",
      404,
      "RevisionNotFound",
      "Invalid rev id: main",
      true,
      /expected the revision main, found none of that name; look at/,
    ],
    [
      "a wrong token",
      401,
      "",
      "Invalid credentials in Authorization header",
      true,
      /the hub does not know your token; log in .* with a new one/,
    ],
    [
      "a token that may not",
      403,
      "",
      "token lacks permission",
      true,
      /access is refused \(token lacks permission\); use a token/,
    ],
    [
      "too many requests",
      429,
      "",
      "slow down",
      false,
      /takes no more requests for now; try again later, or log in/,
    ],
    ["a defect of the hub", 500, "", "oops", true, /found status 500 \(oops\); try again later/],
    ["a strange status", 418, "", "tea", true, /found status 418/],
  ])("%s", async (_, status, code, message, loggedIn, line) => {
    answer(status, code, message);
    expect(await failure("hub", loggedIn ? {} : anonymous())).toMatch(line);
    nothingBroken();
  });

  it("of the storage, where an address ran out", async () => {
    fix.hub.storage = (_, response) => {
      response.writeHead(403).end("<Error>Request has expired</Error>");
      return true;
    };
    expect(await failure("hub")).toMatch(
      /expected the file from 127\.0\.0\.1:\d+, found status 403; try again later/,
    );
    nothingBroken();
  });
});

describe("a hostile hub", () => {
  const listing = (entries: unknown) => {
    fix.hub.hub = (_, response, path) => {
      if (!path.includes("/tree/")) return false;
      json(response, entries);
      return true;
    };
  };
  const real = () => Object.entries(REPO).map(([name, data]) => listed(name, Buffer.from(data)));

  it.each([
    "../../../evil.json",
    "/etc/evil.json",
    "a/../../evil.json",
    "..\\evil.json",
    "C:\\evil.json",
    ".evil.json",
    "tokenizer\0.json",
    "tokenizer_x.json/..",
    "tokenizer:x.json",
  ])("that lists %j gets nothing written there", async (name) => {
    listing([...real(), { ...listed("tokenizer_evil.json", Buffer.from("{}")), path: name }]);
    const { folder } = await fix.resolve();
    expect(readdirSync(folder).sort()).toEqual(Object.keys(REPO).sort());
    expect(readdirSync(dirname(fix.cache)).filter((entry) => entry.includes("evil"))).toEqual([]);
    expect(fix.hub.downloadsOf(name)).toEqual([]);
  });

  it.each<[string, object]>([
    ["a negative size", { size: -1, lfs: { oid: sha256(WEIGHTS), size: -1 } }],
    ["a fraction", { lfs: { oid: sha256(WEIGHTS), size: 1.5 } }],
    ["a size that is no number", { lfs: { oid: sha256(WEIGHTS), size: "9" } }],
    ["a size beyond all numbers", { lfs: { oid: sha256(WEIGHTS), size: 1e300 } }],
    ["a digest with a path in it", { lfs: { oid: `../../${"a".repeat(58)}`, size: 3 } }],
    ["no digest", { oid: undefined, lfs: undefined }],
  ])("that lists %s is refused", async (_, change) => {
    listing(real().map((entry) => ("lfs" in entry ? { ...entry, ...change } : entry)));
    expect(await failure("hub")).toMatch(/expected the size and digest of (?:model|tokenizer)/);
    nothingBroken();
  });

  it("that lists a huge file finds the disk too small, before a byte came", async () => {
    listing(
      real().map((entry) =>
        "path" in entry && entry.path === "model.safetensors"
          ? { ...entry, lfs: { oid: "a".repeat(64), size: 9e15 } }
          : entry,
      ),
    );
    expect(await failure("disk")).toMatch(
      /expected 9\.0 PB free for the download, found [\d.]+ [GT]B; free some, or set HF_HOME/,
    );
    expect(fix.hub.downloadsOf("model.safetensors")).toEqual([]);
  });

  it.each<[string, unknown]>([
    ["no list", { error: "x" }],
    ["a list of nothing", [null, 1, "x"]],
    ["an empty list", []],
  ])("that sends %s is told", async (_, entries) => {
    listing(entries);
    expect(await failure("hub")).toMatch(/expected /);
  });

  it("that sends a web page instead of JSON is told", async () => {
    fix.hub.hub = (_, response) => {
      response.writeHead(200, { "content-type": "text/html" }).end("<html>Log in to Airport WiFi</html>");
      return true;
    };
    expect(await failure("hub")).toMatch(/expected JSON from .*, found something else; .*login in a browser/);
  });

  it("that sends JSON without end is cut off", async () => {
    fix.hub.hub = (_, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      const piece = `[${" ".repeat(1 << 20)}`;
      const more = () => {
        while (!response.destroyed && response.write(piece));
        if (!response.destroyed) response.once("drain", more);
      };
      more();
      return true;
    };
    expect(await failure("hub")).toMatch(/expected at most 16777216 bytes/);
  });

  it("that has pages without end is cut off", async () => {
    fix.hub.hub = (_, response, path) => {
      if (!path.includes("/tree/")) return false;
      response.setHeader("link", `<${fix.hub.endpoint}${path}?cursor=x>; rel="next"`);
      json(response, []);
      return true;
    };
    expect(await failure("hub")).toMatch(/expected at most 50 pages/);
  });

  it.each(["../../evil", "main", "", 7, null])("that names the commit %j is refused", async (sha) => {
    fix.hub.hub = (_, response, path) => {
      if (!path.includes("/revision/")) return false;
      json(response, { _id: "1", id: ID, sha });
      return true;
    };
    expect(await failure("hub")).toMatch(/expected the name of a commit/);
  });

  it("that redirects in a circle is left", async () => {
    fix.hub.hub = onResolve((request, response) => {
      response.writeHead(302, { location: request.url ?? "" }).end();
      return true;
    });
    expect(await failure("hub")).toMatch(/after at most 10 redirects .*, found more/);
    nothingBroken();
  });

  it.each(["file:///etc/passwd", "ftp://x/y", "http://", "javascript:x"])(
    "that redirects to %s is left",
    async (location) => {
      fix.hub.hub = onResolve((_, response) => {
        response.writeHead(302, { location }).end();
        return true;
      });
      expect(await failure("hub")).toMatch(/redirects to an address that is not followed/);
    },
  );

  it("that sends a web page instead of a file is told", async () => {
    fix.hub.storage = (_, response, path) => {
      if (!path.endsWith(".safetensors")) return false;
      response.writeHead(200, { "content-type": "text/html" }).end("<html>Log in</html>");
      return true;
    };
    // Without its length, nothing but the hash tells it from a cut.
    expect(await failure("hub")).toMatch(/expected 400000 bytes, found a web page|the connection/);
    nothingBroken();
  });

  it("that sends a file of the wrong length is told at once", async () => {
    fix.hub.storage = (_, response, path) => {
      if (!path.endsWith(".safetensors")) return false;
      response.writeHead(200, { "content-length": 10 }).end("0123456789");
      return true;
    };
    expect(await failure("hub")).toMatch(/model\.safetensors: expected 400000 bytes, found 10 at 127/);
    nothingBroken();
  });

  it("that sends bytes without end is cut off", async () => {
    fix.hub.storage = (_, response, path) => {
      if (!path.endsWith(".safetensors")) return false;
      response.writeHead(200, { etag: '"x"' });
      const more = () => {
        while (!response.destroyed && response.write(WEIGHTS));
        if (!response.destroyed) response.once("drain", more);
      };
      more();
      return true;
    };
    expect(await failure("hub")).toMatch(/expected 400000 bytes, found more/);
    nothingBroken();
  });

  it("that sends other bytes is found out, twice, and nothing of them stays", async () => {
    const other = noise(WEIGHTS.length, 9);
    let broken = true;
    fix.hub.storage = (request, response, path) => {
      if (!broken || !path.endsWith(".safetensors")) return false;
      send(request, response, other, storageEtag(other));
      return true;
    };
    expect(await failure("hub")).toMatch(
      /expected sha256 [0-9a-f]{12}…, found another, twice; nothing of it was kept/,
    );
    expect(fix.hub.downloadsOf("model.safetensors").filter(({ host }) => host === "storage")).toHaveLength(2);
    nothingBroken();
    broken = false;
    expect(holds((await fix.resolve()).folder)).toBe(true);
  });

  it("that sends other bytes of a small file is found out too", async () => {
    fix.hub.hub = onResolve((request, response, path) => {
      if (!path.endsWith("/tokenizer_config.json")) return false;
      send(request, response, Buffer.from('{"a":2}'), '"x"');
      return true;
    });
    expect(await failure("hub")).toMatch(
      /tokenizer_config\.json: expected git hash [0-9a-f]{12}…, found another/,
    );
    nothingBroken();
  });

  it("that has moved on between list and file is told before gigabytes came", async () => {
    fix.hub.hub = onResolve((_, response, path) => {
      if (!path.endsWith(".safetensors")) return false;
      response
        .writeHead(302, {
          location: `http://${fix.hub.storageHost}/x`,
          "x-linked-etag": `"${"b".repeat(64)}"`,
        })
        .end();
      return true;
    });
    fix.hub.storage = (_, response, path) => {
      if (path !== "/x") return false;
      response.writeHead(200, { "content-length": WEIGHTS.length }).end(WEIGHTS);
      return true;
    };
    expect(await failure("hub")).toMatch(
      /expected the file that was listed \(sha256 .*…\), found another \(bbbbbbbbbbbb…\)/,
    );
    nothingBroken();
  });

  it("that packs the bytes is told", async () => {
    fix.hub.storage = (_, response) => {
      response.writeHead(200, { "content-encoding": "gzip" }).end("x");
      return true;
    };
    expect(await failure("hub")).toMatch(/found them coded as gzip/);
  });

  it("whose index reaches out of the folder is refused", async () => {
    const { "model.safetensors": _, ...rest } = REPO;
    fix.hub.add(ID, {
      ...rest,
      "model.safetensors.index.json": '{"weight_map":{"a":"../../../x.safetensors"}}',
    });
    expect(await failure("checkpoint")).toMatch(
      /weight_map: expected names of \.safetensors files beside it/,
    );
  });

  it("whose index names a shard that is not there is told", async () => {
    const { "model.safetensors": _, ...rest } = REPO;
    fix.hub.add(ID, { ...rest, "model.safetensors.index.json": '{"weight_map":{"a":"x.safetensors"}}' });
    expect(await failure("hub")).toMatch(
      /expected x\.safetensors, which model\.safetensors\.index\.json names/,
    );
  });
});

describe("the user's token", () => {
  it.each(["two words", "with\nnewline", "ünï"])("%j is refused unprinted", (HF_TOKEN) => {
    const environment = hubEnvironment({ HF_TOKEN });
    expect(() => environment.token()).toThrow(/^HF_TOKEN: expected the hub's token, found something else; /);
    try {
      environment.token();
    } catch (error) {
      expect(String(error)).not.toContain(HF_TOKEN);
    }
  });

  it("comes from the file that logging in writes, unless it is not to be used", async () => {
    const { writeFileSync } = await import("node:fs");
    writeFileSync(join(fix.cache, "token"), `${TOKEN}\n`);
    const env = { HF_HOME: fix.cache };
    expect(hubEnvironment(env).token()).toBe(TOKEN);
    expect(hubEnvironment({ HF_TOKEN_PATH: join(fix.cache, "token") }).token()).toBe(TOKEN);
    expect(hubEnvironment({ ...env, HF_TOKEN: "hf_other" }).token()).toBe("hf_other");
    expect(hubEnvironment({ ...env, HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" }).token()).toBeUndefined();
    expect(hubEnvironment({ HF_HOME: "/nowhere" }).token()).toBeUndefined();
  });
});
