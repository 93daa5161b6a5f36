// The device SDK for pages.
import { Device } from "../device.js";
import { batchSize, maxReceipts } from "../state.js";
import { WebSocketTransport } from "../websocket.js";
import { request } from "./fetch.js";
import { IndexedDBStorage } from "./indexeddb.js";
import { databaseName, siteDocument, workerSeen } from "./site.js";
export * from "../index.js";
export { IndexedDBStorage } from "./indexeddb.js";
export { show, withdraw } from "./notification.js";
/**
 * Opens the site's device. Of several pages of the site one has it: the promise of another is fulfilled when the page that
 * has it is gone. What the service worker reported while no page was open is taken over.
 */
export async function openDevice(options, browser = {}) {
    const name = databaseName(browser.database);
    await alone(name);
    const storage = await IndexedDBStorage.open(name);
    const site = { server: options.server.replace(/\/+$/, ""), app_key: options.appKey };
    await storage.put(siteDocument, JSON.stringify(site));
    const platform = {
        transports: [new WebSocketTransport(WebSocket)],
        request,
        random: (n) => crypto.getRandomValues(new Uint8Array(n)),
        known: async (key) => JSON.parse((await storage.get(workerSeen)) ?? "[]").includes(key),
    };
    const device = await Device.open({ platform: "web", ...options, storage }, platform);
    const take = async () => {
        for (let taken = 0; taken < maxReceipts; taken += batchSize) {
            const list = await storage.workerReceipts(batchSize);
            if (list.length === 0)
                return;
            for (const r of list)
                await device.report(r.id, r.event, r.at);
            await storage.removeWorkerReceipts(list);
        }
    };
    await take();
    navigator.serviceWorker?.addEventListener("message", (e) => {
        if (e.data?.borealis === "receipts")
            void take().catch((error) => device.trouble(error));
    });
    addEventListener("online", () => device.networkUp());
    return device;
}
/** Waits until this page is the only one that has the lock, which it keeps until it is gone. */
function alone(name) {
    if (!navigator.locks)
        return Promise.resolve(); // an old browser: the last page that connects has it
    return new Promise((resolve, reject) => {
        const forever = () => {
            resolve();
            return new Promise(() => undefined);
        };
        navigator.locks.request(name, forever).catch(reject);
    });
}
/**
 * Subscribes to web push and tells the server. Ask for consent and for the permission to show notifications first.
 * publicKey is the server's VAPID key, base64url.
 */
export async function subscribe(device, registration, publicKey) {
    if (!device.state.identity.consent)
        throw new Error("there is no consent");
    const had = await registration.pushManager.getSubscription();
    const subscription = had ?? (await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: publicKey }));
    await device.putToken({ channel: "webpush", token: tokenOf(subscription) });
}
/** Ends the subscription to web push. */
export async function unsubscribe(device, registration) {
    const subscription = await registration.pushManager.getSubscription();
    await subscription?.unsubscribe();
    await device.putToken({ channel: "webpush", token: "" });
}
/** A subscription as the server takes it for a token. */
export function tokenOf(s) {
    const { endpoint, keys } = s.toJSON();
    return JSON.stringify({ endpoint, keys: { p256dh: keys?.["p256dh"], auth: keys?.["auth"] } });
}
