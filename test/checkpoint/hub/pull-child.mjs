// Run by processes.test.ts: downloads a repository with the built package and tells what came as JSON.
// Arguments: endpoint, cache, repository, patience as JSON.
import { hubEnvironment } from "../../../dist/checkpoint/hub/environment.js";
import { resolveRepo } from "../../../dist/checkpoint/hub/index.js";

const [endpoint, cache, id, patience] = process.argv.slice(2);
const environment = {
  ...hubEnvironment({ HOME: "/nowhere", HF_ENDPOINT: endpoint, HF_HUB_CACHE: cache }),
  patience: JSON.parse(patience),
};
const waited = [];
const onProgress = (event) => {
  if (event.type === "waiting") waited.push(event.reason);
  if (event.type === "bytes") process.stderr.write(`${event.name} ${event.done}\n`);
};
try {
  const { downloaded, folder } = await resolveRepo(id, { environment, onProgress });
  process.stdout.write(JSON.stringify({ downloaded, folder, waited }));
} catch (error) {
  process.stdout.write(JSON.stringify({ error: error.message, waited }));
}
