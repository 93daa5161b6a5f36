// The part of the device SDK that runs in the site's service worker: it shows what web push brings while no page is open,
// and reports what became of it.
import { covers, frameOf, keyOf } from "../message.js";
import { call } from "../register.js";
import { batchSize, bounded, maxSeen, noWords } from "../state.js";
import { request } from "./fetch.js";
import { IndexedDBStorage } from "./indexeddb.js";
import { show, withdraw } from "./notification.js";
import { databaseName, siteDocument, workerSeen } from "./site.js";
/** Makes the service worker show pushes and report what became of them. Call it once, while the script is loaded. */
export function serve(scope, options = {}) {
    const worker = new Worker(scope, options);
    scope.addEventListener("push", (e) => e.waitUntil(worker.pushed(e)));
    scope.addEventListener("notificationclick", (e) => e.waitUntil(worker.clicked(e.notification)));
    scope.addEventListener("notificationclose", (e) => e.waitUntil(worker.closed(e.notification)));
    scope.addEventListener("pushsubscriptionchange", (e) => e.waitUntil(worker.changed(e)));
}
class Worker {
    constructor(scope, options) {
        this.scope = scope;
        this.options = options;
        /** One push after another, so that each sees what the one before remembered. */
        this.last = Promise.resolve();
    }
    pushed(e) {
        let v;
        try {
            v = e.data?.json();
        }
        catch {
            return Promise.resolve(); // not ours
        }
        const frame = frameOf(v);
        if (typeof frame === "string")
            return Promise.resolve();
        this.last = this.last.catch(() => undefined).then(() => this.take(frame));
        return this.last;
    }
    async take(f) {
        const storage = await IndexedDBStorage.open(databaseName(this.options.database));
        try {
            const read = async (name, otherwise) => {
                const text = await storage.get(name);
                return text ? JSON.parse(text) : otherwise;
            };
            const id = await read("identity", {});
            if (!id.consent || !id.registration_id)
                return; // ended
            if (f.type === "withdraw")
                return await withdraw(this.scope.registration, f.withdraw);
            const [words, seen, mine] = [await read("profile", noWords()), await read("seen", { messages: [], gone: [] }), await read(workerSeen, [])];
            const now = Date.now() + (id.offset ?? 0);
            const known = mine.includes(keyOf(f)) || seen.messages.includes(keyOf(f)) || seen.gone.includes(f.id);
            if (known || words.off || (f.expires_at && f.expires_at <= now))
                return;
            f.silent = covers(words.silence, new Date());
            const shown = await this.show(f);
            await storage.put(workerSeen, JSON.stringify(bounded(mine, keyOf(f), maxSeen)));
            if (shown)
                await this.report(storage, { id: f.id, event: "displayed", at: Math.round(now) });
        }
        finally {
            storage.close();
        }
    }
    /** Whether the message was displayed. */
    async show(m) {
        if (this.options.onMessage)
            return this.options.onMessage(m);
        const pages = await this.pages();
        if (m.type !== "notification" || (m.foreground === false && pages.some((p) => p.visibilityState === "visible"))) {
            for (const p of pages)
                p.postMessage({ borealis: "message", message: m });
            return false;
        }
        await show(this.scope.registration, m);
        return true;
    }
    async clicked(n) {
        const of = n.data?.borealis;
        if (!of)
            return; // the site's own
        n.close();
        await Promise.all([this.happened(of.id, "clicked"), this.open(of)]);
    }
    async open(of) {
        const url = this.options.pageOf?.(of.message) ?? of.url;
        const pages = await this.pages();
        const page = url ? pages.find((p) => p.url === url) : pages[0];
        if (page) {
            page.postMessage({ borealis: "clicked", message: of.message });
            await page.focus().catch(() => undefined); // allowed only while the click is fresh
            return;
        }
        await this.scope.clients.openWindow(url ?? "/").catch(() => undefined); // likewise
    }
    async closed(n) {
        const of = n.data?.borealis;
        if (of)
            await this.happened(of.id, "dismissed");
    }
    async happened(id, event) {
        const storage = await IndexedDBStorage.open(databaseName(this.options.database));
        try {
            const who = JSON.parse((await storage.get("identity")) ?? "{}");
            await this.report(storage, { id, event, at: Math.round(Date.now() + (who.offset ?? 0)) });
        }
        finally {
            storage.close();
        }
    }
    /** Keeps a receipt, and sends all that are kept if the server can be reached; else a page will. */
    async report(storage, r) {
        await storage.addWorkerReceipt(r);
        const list = await storage.workerReceipts(batchSize);
        const status = await this.ask(storage, "POST", "/device/v1/events", { events: list });
        if (status >= 200 && status < 300)
            return storage.removeWorkerReceipts(list);
        for (const p of await this.pages())
            p.postMessage({ borealis: "receipts" });
    }
    /** The browser gave the subscription another address. */
    async changed(e) {
        const key = e.oldSubscription?.options.applicationServerKey;
        const s = e.newSubscription ?? (key ? await this.scope.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key }) : null);
        const storage = await IndexedDBStorage.open(databaseName(this.options.database));
        try {
            const { endpoint, keys } = s?.toJSON() ?? {};
            await this.ask(storage, "PUT", "/device/v1/tokens", { channel: "webpush", token: s ? JSON.stringify({ endpoint, keys }) : "" });
        }
        finally {
            storage.close();
        }
    }
    /** Makes a call as the device; 0: the server cannot be reached, or there is no device. */
    async ask(storage, method, path, body) {
        const site = JSON.parse((await storage.get(siteDocument)) ?? "null");
        const { registration_id, secret } = JSON.parse((await storage.get("identity")) ?? "{}");
        if (!site || !registration_id || !secret)
            return 0;
        const o = { server: site.server, appKey: site.app_key, on: { request } };
        return call({ o }, method, path, { registration_id, secret }, body).then((answer) => answer.status, () => 0);
    }
    pages() {
        return this.scope.clients.matchAll({ type: "window", includeUncontrolled: true });
    }
}
