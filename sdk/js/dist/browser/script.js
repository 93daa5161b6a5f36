// A whole service worker, for sites that need nothing of their own in it.
import { serve } from "./worker.js";
serve(self);
