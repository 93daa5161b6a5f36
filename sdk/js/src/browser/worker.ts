// The part of the device SDK that runs in the site's service worker: it shows what web push brings while no page is open,
// and reports what became of it.

import { covers, frameOf, keyOf, type Frame } from "../message.js";
import { call } from "../register.js";
import { batchSize, bounded, maxSeen, noWords, type Identity, type Receipt, type Seen, type Words } from "../state.js";
import type { Settled } from "../options.js";
import { request } from "./fetch.js";
import { IndexedDBStorage } from "./indexeddb.js";
import { show, withdraw, type Shown, type WebMessage } from "./notification.js";
import { databaseName, siteDocument, workerSeen, type Site } from "./site.js";

interface ExtendableEvent extends Event {
  waitUntil(p: Promise<unknown>): void;
}
interface PushEvent extends ExtendableEvent {
  data: { json(): unknown } | null;
}
interface NotificationEvent extends ExtendableEvent {
  notification: Notification;
}
interface SubscriptionChangeEvent extends ExtendableEvent {
  oldSubscription: PushSubscription | null;
  newSubscription: PushSubscription | null;
}
interface WindowClient {
  url: string;
  visibilityState: string;
  focus(): Promise<unknown>;
  postMessage(m: unknown): void;
}

/** The global scope of a service worker. */
export interface WorkerScope {
  registration: ServiceWorkerRegistration;
  clients: { matchAll(o: { type: "window"; includeUncontrolled: boolean }): Promise<readonly WindowClient[]>; openWindow(url: string): Promise<unknown> };
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
export function serve(scope: WorkerScope, options: WorkerOptions = {}): void {
  const worker = new Worker(scope, options);
  scope.addEventListener("push", (e: PushEvent) => e.waitUntil(worker.pushed(e)));
  scope.addEventListener("notificationclick", (e: NotificationEvent) => e.waitUntil(worker.clicked(e.notification)));
  scope.addEventListener("notificationclose", (e: NotificationEvent) => e.waitUntil(worker.closed(e.notification)));
  scope.addEventListener("pushsubscriptionchange", (e: SubscriptionChangeEvent) => e.waitUntil(worker.changed(e)));
}

class Worker {
  /** One push after another, so that each sees what the one before remembered. */
  private last: Promise<void> = Promise.resolve();

  constructor(
    private readonly scope: WorkerScope,
    private readonly options: WorkerOptions,
  ) {}

  pushed(e: PushEvent): Promise<void> {
    let v: unknown;
    try {
      v = e.data?.json();
    } catch {
      return Promise.resolve(); // not ours
    }
    const frame = frameOf(v);
    if (typeof frame === "string") return Promise.resolve();
    this.last = this.last.catch(() => undefined).then(() => this.take(frame));
    return this.last;
  }

  private async take(f: Frame): Promise<void> {
    const storage = await IndexedDBStorage.open(databaseName(this.options.database));
    try {
      const read = async <T>(name: string, otherwise: T): Promise<T> => {
        const text = await storage.get(name);
        return text ? (JSON.parse(text) as T) : otherwise;
      };
      const id = await read<Identity>("identity", {});
      if (!id.consent || !id.registration_id) return; // ended
      if (f.type === "withdraw") return await withdraw(this.scope.registration, f.withdraw!);
      const [words, seen, mine] = [await read<Words>("profile", noWords()), await read<Seen>("seen", { messages: [], gone: [] }), await read<string[]>(workerSeen, [])];
      const now = Date.now() + (id.offset ?? 0);
      const known = mine.includes(keyOf(f)) || seen.messages.includes(keyOf(f)) || seen.gone.includes(f.id);
      if (known || words.off || (f.expires_at && f.expires_at <= now)) return;
      f.silent = covers(words.silence, new Date());
      const shown = await this.show(f);
      await storage.put(workerSeen, JSON.stringify(bounded(mine, keyOf(f), maxSeen)));
      if (shown) await this.report(storage, { id: f.id, event: "displayed", at: Math.round(now) });
    } finally {
      storage.close();
    }
  }

  /** Whether the message was displayed. */
  private async show(m: WebMessage): Promise<boolean> {
    if (this.options.onMessage) return this.options.onMessage(m);
    const pages = await this.pages();
    if (m.type !== "notification" || (m.foreground === false && pages.some((p) => p.visibilityState === "visible"))) {
      for (const p of pages) p.postMessage({ borealis: "message", message: m });
      return false;
    }
    await show(this.scope.registration, m);
    return true;
  }

  async clicked(n: Notification): Promise<void> {
    const of = (n.data as Partial<Shown> | null)?.borealis;
    if (!of) return; // the site's own
    n.close();
    await Promise.all([this.happened(of.id, "clicked"), this.open(of)]);
  }

  private async open(of: Shown["borealis"]): Promise<void> {
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

  async closed(n: Notification): Promise<void> {
    const of = (n.data as Partial<Shown> | null)?.borealis;
    if (of) await this.happened(of.id, "dismissed");
  }

  private async happened(id: string, event: Receipt["event"]): Promise<void> {
    const storage = await IndexedDBStorage.open(databaseName(this.options.database));
    try {
      const who = JSON.parse((await storage.get("identity")) ?? "{}") as Identity;
      await this.report(storage, { id, event, at: Math.round(Date.now() + (who.offset ?? 0)) });
    } finally {
      storage.close();
    }
  }

  /** Keeps a receipt, and sends all that are kept if the server can be reached; else a page will. */
  private async report(storage: IndexedDBStorage, r: Receipt): Promise<void> {
    await storage.addWorkerReceipt(r);
    const list = await storage.workerReceipts(batchSize);
    const status = await this.ask(storage, "POST", "/device/v1/events", { events: list });
    if (status >= 200 && status < 300) return storage.removeWorkerReceipts(list);
    for (const p of await this.pages()) p.postMessage({ borealis: "receipts" });
  }

  /** The browser gave the subscription another address. */
  async changed(e: SubscriptionChangeEvent): Promise<void> {
    const key = e.oldSubscription?.options.applicationServerKey;
    const s = e.newSubscription ?? (key ? await this.scope.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key }) : null);
    const storage = await IndexedDBStorage.open(databaseName(this.options.database));
    try {
      const { endpoint, keys } = s?.toJSON() ?? {};
      await this.ask(storage, "PUT", "/device/v1/tokens", { channel: "webpush", token: s ? JSON.stringify({ endpoint, keys }) : "" });
    } finally {
      storage.close();
    }
  }

  /** Makes a call as the device; 0: the server cannot be reached, or there is no device. */
  private async ask(storage: IndexedDBStorage, method: string, path: string, body: unknown): Promise<number> {
    const site = JSON.parse((await storage.get(siteDocument)) ?? "null") as Site | null;
    const { registration_id, secret } = JSON.parse((await storage.get("identity")) ?? "{}") as Identity;
    if (!site || !registration_id || !secret) return 0;
    const o = { server: site.server, appKey: site.app_key, on: { request } } as Settled;
    return call({ o }, method, path, { registration_id, secret }, body).then(
      (answer) => answer.status,
      () => 0,
    );
  }

  private pages(): Promise<readonly WindowClient[]> {
    return this.scope.clients.matchAll({ type: "window", includeUncontrolled: true });
  }
}
