import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcp } from "node:net";
import { describe, expect, it } from "vitest";
import { proxyFor } from "../../../src/checkpoint/hub/proxy.js";
import { waitAsked } from "../../../src/checkpoint/hub/waiting.js";
import { environmentOf, failureOf, fixture, holds } from "./download-fixture.js";

const fix = fixture();
const failure = (code: "hub", options: object) => failureOf(fix.resolve(options), code);

describe("no way to the hub", () => {
  const at = (env: Readonly<Record<string, string>>) => ({
    environment: environmentOf(env.HF_ENDPOINT ?? fix.hub.endpoint, fix.cache, env),
  });

  it("because nobody listens there", async () => {
    const server = createTcp();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    expect(await failure("hub", at({ HF_ENDPOINT: `http://127.0.0.1:${port}` }))).toMatch(
      /can't be reached \(ECONNREFUSED\); check the network .*HF_HUB_OFFLINE=1/,
    );
  });

  it("because there is no such host", async () => {
    expect(await failure("hub", at({ HF_ENDPOINT: "http://hub.invalid" }))).toMatch(
      /hub\.invalid can't be reached \((?:ENOTFOUND|EAI_AGAIN)\); check the network/,
    );
  });

  it("because it never answers", async () => {
    fix.hub.hub = () => true;
    const environment = { ...fix.environment, timeout: 0.2 };
    expect(await failure("hub", { environment })).toMatch(
      /gives no answer; check the network, or raise HF_HUB_DOWNLOAD_TIMEOUT/,
    );
  });

  it("because what listens there does not speak TLS", async () => {
    expect(await failure("hub", at({ HF_ENDPOINT: fix.hub.endpoint.replace("http:", "https:") }))).toMatch(
      /broke|certificate/,
    );
  });

  it("because the proxy refuses, without telling its password", async () => {
    const proxy = createServer((_, response) => response.writeHead(407).end());
    proxy.on("connect", (_, socket) => socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"));
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const { port } = proxy.address() as AddressInfo;
    const address = `http://user:secret@127.0.0.1:${port}`;
    for (const [endpoint, name] of [
      ["http://hub.invalid", "HTTP_PROXY"],
      ["https://hub.invalid", "HTTPS_PROXY"],
    ] as const) {
      const message = await failure("hub", at({ HF_ENDPOINT: endpoint, [name]: address }));
      expect(message).toMatch(
        /the proxy \S+ refuses the connection \(status 407\); give its user and password/,
      );
      expect(message).not.toContain("secret");
    }
    proxy.closeAllConnections();
    await new Promise((resolve) => proxy.close(resolve));
  });

  it("because the proxy is not there", async () => {
    const message = await failure("hub", at({ HTTP_PROXY: "http://127.0.0.1:9" }));
    expect(message).toMatch(
      /the proxy 127\.0\.0\.1:9 or .* can't be reached .*check HTTPS_PROXY, HTTP_PROXY and NO_PROXY/,
    );
  });

  it("but through a proxy there is", async () => {
    let through = 0;
    const proxy = createServer((request, response) => {
      through++;
      const url = new URL(request.url ?? "");
      import("node:http").then(({ request: ask }) => {
        ask(url, { headers: request.headers }, (answer) => {
          response.writeHead(answer.statusCode ?? 500, answer.headers);
          answer.pipe(response);
        }).end();
      });
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const { port } = proxy.address() as AddressInfo;
    const { folder } = await fix.resolve(at({ HTTP_PROXY: `127.0.0.1:${port}` }));
    expect(holds(folder)).toBe(true);
    expect(through).toBeGreaterThan(5);
    proxy.closeAllConnections();
    await new Promise((resolve) => proxy.close(resolve));
  });
});

describe("the proxy of an address", () => {
  const of = (url: string, env: Record<string, string>) => proxyFor(new URL(url), env)?.href;
  it.each<[string, Record<string, string>, string | undefined]>([
    ["https://hub.co", {}, undefined],
    ["https://hub.co", { HTTPS_PROXY: "http://p:1" }, "http://p:1/"],
    ["https://hub.co", { https_proxy: "p:1" }, "http://p:1/"],
    ["http://hub.co", { HTTPS_PROXY: "http://p:1" }, undefined],
    ["http://hub.co", { ALL_PROXY: "http://p:1" }, "http://p:1/"],
    ["https://hub.co", { HTTPS_PROXY: "http://p:1", NO_PROXY: "hub.co" }, undefined],
    ["https://cdn.hub.co", { HTTPS_PROXY: "http://p:1", NO_PROXY: ".hub.co" }, undefined],
    ["https://cdn.hub.co", { HTTPS_PROXY: "http://p:1", no_proxy: "x, hub.co" }, undefined],
    ["https://nothub.co", { HTTPS_PROXY: "http://p:1", NO_PROXY: "hub.co" }, "http://p:1/"],
    ["https://hub.co", { HTTPS_PROXY: "http://p:1", NO_PROXY: "hub.co:8443" }, "http://p:1/"],
    ["https://hub.co:8443", { HTTPS_PROXY: "http://p:1", NO_PROXY: "hub.co:8443" }, undefined],
    ["https://hub.co", { HTTPS_PROXY: "http://p:1", NO_PROXY: "*" }, undefined],
    ["http://[::1]:81", { HTTP_PROXY: "http://p:1", NO_PROXY: "[::1]:81" }, undefined],
    ["http://[::1]:80", { HTTP_PROXY: "http://p:1", NO_PROXY: "::1" }, undefined],
  ])("%s with %j is %s", (url, env, proxy) => {
    expect(of(url, env)).toBe(proxy);
  });

  it("of a kind that is not spoken is a mistake", () => {
    expect(() => of("https://hub.co", { ALL_PROXY: "socks5://user:secret@p:1" })).toThrow(
      /^ALL_PROXY: expected the address of an HTTP proxy .* found one of kind "socks5:"; mend it/,
    );
  });
});

describe("what an answer asks to wait", () => {
  const wait = (headers: Record<string, string>) =>
    waitAsked({ header: (name) => headers[name] }, Date.parse("2026-01-01T00:00:00Z"));
  it.each<[Record<string, string>, number | undefined]>([
    [{ "retry-after": "12" }, 12],
    [{ "retry-after": "Thu, 01 Jan 2026 00:01:00 GMT" }, 60],
    [{ "retry-after": "Thu, 01 Jan 2015 00:01:00 GMT" }, 0],
    [{ ratelimit: '"api";r=0;t=55' }, 55],
    [{ "retry-after": "soon" }, undefined],
    [{}, undefined],
  ])("%j: %s s", (headers, seconds) => {
    expect(wait(headers)).toBe(seconds);
  });
});
