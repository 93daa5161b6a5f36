import type { Storage } from "../storage.js";
/** A directory with a file for each document. */
export declare class FileStorage implements Storage {
    private readonly dir;
    private constructor();
    /** Makes the directory, readable by its owner alone, if it is not there. */
    static open(dir: string): Promise<FileStorage>;
    private file;
    get(name: string): Promise<string | undefined>;
    /** The file is complete on the disk before it takes the place of the older one. */
    put(name: string, document: string): Promise<void>;
    remove(name: string): Promise<void>;
}
