// What pages and the service worker of a site agree on.

/** Where the server is; pages write it, for the service worker. */
export interface Site {
  server: string;
  app_key: string;
}

export const siteDocument = "site";
/** The document of "type/id" of messages that the service worker showed. */
export const workerSeen = "worker_seen";
export const databaseName = (name: string | undefined): string => name ?? "borealis";
