// What pages and the service worker of a site agree on.
export const siteDocument = "site";
/** The document of "type/id" of messages that the service worker showed. */
export const workerSeen = "worker_seen";
export const databaseName = (name) => name ?? "borealis";
