/** Where the server is; pages write it, for the service worker. */
export interface Site {
    server: string;
    app_key: string;
}
export declare const siteDocument = "site";
/** The document of "type/id" of messages that the service worker showed. */
export declare const workerSeen = "worker_seen";
export declare const databaseName: (name: string | undefined) => string;
