import { Device } from "../device.js";
import type { Options } from "../options.js";
export * from "../index.js";
export { IndexedDBStorage } from "./indexeddb.js";
export { show, withdraw, type WebMessage } from "./notification.js";
/** What a page has to choose from. */
export interface BrowserOptions {
    /** Name of the database; a site with several apps needs several. The service worker must use the same. */
    database?: string;
}
/**
 * Opens the site's device. Of several pages of the site one has it: the promise of another is fulfilled when the page that
 * has it is gone. What the service worker reported while no page was open is taken over.
 */
export declare function openDevice(options: Omit<Options, "storage" | "platform"> & Partial<Options>, browser?: BrowserOptions): Promise<Device>;
/**
 * Subscribes to web push and tells the server. Ask for consent and for the permission to show notifications first.
 * publicKey is the server's VAPID key, base64url.
 */
export declare function subscribe(device: Device, registration: ServiceWorkerRegistration, publicKey: string): Promise<void>;
/** Ends the subscription to web push. */
export declare function unsubscribe(device: Device, registration: ServiceWorkerRegistration): Promise<void>;
/** A subscription as the server takes it for a token. */
export declare function tokenOf(s: PushSubscription): string;
