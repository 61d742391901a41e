// The volume viewer, which a page loads when a lesion is looked at.
import { MULTIPLANAR_TYPE, Niivue, NVImage, SHOW_RENDER } from "@niivue/niivue";

globalThis.niivue = { MULTIPLANAR_TYPE, Niivue, NVImage, SHOW_RENDER };
