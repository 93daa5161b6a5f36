/** Keeps a few named documents. */
export interface Storage {
    /** The document, undefined if there is none. */
    get(name: string): Promise<string | undefined>;
    /** Replaces a document, whole or not at all; it has survived the end of the process when the promise is fulfilled. */
    put(name: string, document: string): Promise<void>;
    /** Deletes a document; it is no error if there is none. */
    remove(name: string): Promise<void>;
}
/** Forgets everything with the process: the device is a new one each time. */
export declare class MemoryStorage implements Storage {
    private readonly documents;
    get(name: string): Promise<string | undefined>;
    put(name: string, document: string): Promise<void>;
    remove(name: string): Promise<void>;
}
