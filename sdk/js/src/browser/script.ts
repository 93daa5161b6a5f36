// A whole service worker, for sites that need nothing of their own in it.
import { serve, type WorkerScope } from "./worker.js";

serve(self as unknown as WorkerScope);
