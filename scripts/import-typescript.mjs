// Lets a script of the repository's own use TypeScript as it stands in src/ and test/, without a build.
import { fileURLToPath } from "node:url";
import { createViteServer } from "vitest/node";

/**
 * Imports a TypeScript module and hands it to `use`.
 *
 * @param file URL of the module
 * @returns what `use` resolves to
 */
export async function withTypeScript(file, use) {
  const server = await createViteServer({
    root: fileURLToPath(new URL("..", import.meta.url)),
    configFile: false,
    appType: "custom",
    logLevel: "error",
    server: { middlewareMode: true, watch: null, hmr: false, ws: false },
    optimizeDeps: { noDiscovery: true },
    oxc: { target: "node20" }, // `using` becomes what Node 20 reads.
  });
  try {
    return await use(await server.ssrLoadModule(fileURLToPath(file)));
  } finally {
    await server.close();
  }
}
