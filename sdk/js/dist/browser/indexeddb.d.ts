import type { Receipt } from "../state.js";
import type { Storage } from "../storage.js";
/** A database of the browser, which pages and service worker of a site share. Each writes documents of its own. */
export declare class IndexedDBStorage implements Storage {
    private readonly db;
    private constructor();
    static open(name: string): Promise<IndexedDBStorage>;
    /** Runs work in one transaction; fulfilled with the result of the request when all of it is on the disk. */
    private within;
    get(name: string): Promise<string | undefined>;
    put(name: string, document: string): Promise<void>;
    remove(name: string): Promise<void>;
    /** Receipts of the service worker that the server has not got, at most limit. */
    workerReceipts(limit: number): Promise<Receipt[]>;
    addWorkerReceipt(r: Receipt): Promise<void>;
    removeWorkerReceipts(list: Receipt[]): Promise<void>;
    close(): void;
}
