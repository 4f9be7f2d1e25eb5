import { MlxGemmaError } from "../../errors.js";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy that the environment names for an address: HTTPS_PROXY or HTTP_PROXY by the address' scheme, else
 * ALL_PROXY, unless NO_PROXY excludes the host; each in lower case too.
 *
 * @throws MlxGemmaError `usage` for a proxy of another kind
 */
export function proxyFor(url: URL, env: Environment = process.env): URL | undefined {
  const scheme = url.protocol.slice(0, -1);
  const read = (name: string) => env[name] || env[name.toUpperCase()];
  const names = [`${scheme}_proxy`, "all_proxy"];
  const text = names.map(read).find((value) => value);
  if (!text || isExcluded(url, read("no_proxy") ?? "")) return undefined;
  const address = /^\w+:\/\//.test(text) ? text : `http://${text}`;
  const proxy = URL.canParse(address) ? new URL(address) : undefined;
  if (proxy && /^https?:$/.test(proxy.protocol)) return proxy;
  const name = names.find((candidate) => read(candidate) === text);
  throw new MlxGemmaError(
    "usage",
    `${name?.toUpperCase()}: expected the address of an HTTP proxy such as http://proxy:3128, found ${proxy ? `one of kind ${JSON.stringify(proxy.protocol)}` : "something else"}; mend it, or name the host in NO_PROXY`,
  );
}

/** Where a proxy stands, without the password that may be in its address. */
export function proxyName(proxy: URL): string {
  return proxy.host;
}

function isExcluded(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .some((entry) => {
      if (entry === "*") return true;
      // An address of IPv6 has colons of its own; with a port it stands in brackets.
      const isAddress = /^[^[]*:.*:/.test(entry);
      const [, name = "", only] = isAddress
        ? ["", entry.toLowerCase()]
        : (/^\[?(.+?)\]?(?::(\d+))?$/.exec(entry.toLowerCase()) ?? []);
      if (only !== undefined && only !== port) return false;
      const suffix = name.replace(/^\*?\./, "");
      return host === suffix || host.endsWith(`.${suffix}`);
    });
}
