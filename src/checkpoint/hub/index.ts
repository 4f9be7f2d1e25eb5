export { type CachedRepo, type CachedSnapshot, findCachedRepo, listCached } from "./cached.js";
export { cacheFolder, type HubEnvironment, hubEnvironment, isOffline } from "./environment.js";
export { type CachedGemma, gemmaOf } from "./gemma.js";
export type { HubProgress, PlannedFile } from "./progress.js";
export { openRemote, type RemoteFiles, type RemoteOptions } from "./remote-files.js";
export { type Removal, removeCached } from "./remove.js";
export { checkRevision, describeRepo, isHubOnly, parseRepoId, type RepoRef } from "./repo-id.js";
export { type ResolvedRepo, type ResolveOptions, resolveFirst, resolveRepo } from "./resolve.js";
