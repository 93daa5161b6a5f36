import { type WebMessage } from "./notification.js";
interface WindowClient {
    url: string;
    visibilityState: string;
    focus(): Promise<unknown>;
    postMessage(m: unknown): void;
}
/** The global scope of a service worker. */
export interface WorkerScope {
    registration: ServiceWorkerRegistration;
    clients: {
        matchAll(o: {
            type: "window";
            includeUncontrolled: boolean;
        }): Promise<readonly WindowClient[]>;
        openWindow(url: string): Promise<unknown>;
    };
    addEventListener(type: string, listener: (e: never) => void): void;
}
/** What a site may decide itself. */
export interface WorkerOptions {
    /** As the pages' option of that name. */
    database?: string;
    /** Takes a message instead of showing it as a notification; true: it was displayed. */
    onMessage?(m: WebMessage): Promise<boolean>;
    /** The page to open for a click; undefined: url of the push, or the site's root. */
    pageOf?(m: WebMessage): string | undefined;
}
/** Makes the service worker show pushes and report what became of them. Call it once, while the script is loaded. */
export declare function serve(scope: WorkerScope, options?: WorkerOptions): void;
export {};
