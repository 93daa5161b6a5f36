import type { Receipt } from "../state.js";
import type { Storage } from "../storage.js";

const documents = "documents";
const receipts = "receipts";

/** A database of the browser, which pages and service worker of a site share. Each writes documents of its own. */
export class IndexedDBStorage implements Storage {
  private constructor(private readonly db: IDBDatabase) {}

  static open(name: string): Promise<IndexedDBStorage> {
    return new Promise((resolve, reject) => {
      const asked = indexedDB.open(name, 1);
      asked.onupgradeneeded = () => {
        asked.result.createObjectStore(documents);
        asked.result.createObjectStore(receipts);
      };
      asked.onsuccess = () => {
        asked.result.onversionchange = () => asked.result.close();
        resolve(new IndexedDBStorage(asked.result));
      };
      asked.onerror = () => reject(asked.error ?? new Error("IndexedDB cannot be opened"));
    });
  }

  /** Runs work in one transaction; fulfilled with the result of the request when all of it is on the disk. */
  private within<T>(store: string, mode: IDBTransactionMode, work: (s: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const t = this.db.transaction(store, mode, { durability: "strict" });
      const asked = work(t.objectStore(store));
      t.oncomplete = () => resolve(asked.result);
      t.onabort = () => reject(t.error ?? asked.error ?? new Error("IndexedDB gave up"));
    });
  }

  get(name: string): Promise<string | undefined> {
    return this.within<string | undefined>(documents, "readonly", (s) => s.get(name));
  }

  async put(name: string, document: string): Promise<void> {
    await this.within(documents, "readwrite", (s) => s.put(document, name));
  }

  async remove(name: string): Promise<void> {
    await this.within(documents, "readwrite", (s) => s.delete(name));
  }

  /** Receipts of the service worker that the server has not got, at most limit. */
  workerReceipts(limit: number): Promise<Receipt[]> {
    return this.within<Receipt[]>(receipts, "readonly", (s) => s.getAll(undefined, limit));
  }

  async addWorkerReceipt(r: Receipt): Promise<void> {
    await this.within(receipts, "readwrite", (s) => s.put(r, `${r.id}/${r.event}`));
  }

  async removeWorkerReceipts(list: Receipt[]): Promise<void> {
    if (list.length === 0) return;
    await this.within(receipts, "readwrite", (s) => list.map((r) => s.delete(`${r.id}/${r.event}`)).pop()!);
  }

  close(): void {
    this.db.close();
  }
}
