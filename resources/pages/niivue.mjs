// The volume viewer, which a page loads when a lesion is looked at.
import { Niivue, NVImage, SHOW_RENDER } from "@niivue/niivue";

globalThis.niivue = { Niivue, NVImage, SHOW_RENDER };
