// The volume viewer of the pages: NiiVue with a scan, its lesions and its probabilities.
"use strict";
globalThis.lesionflow ??= {};

(() => {
  const { html, useEffect, useRef, useState } = libraries;
  const COLOURS = { kept: [255, 90, 54], dropped: [176, 176, 176], current: [255, 235, 59] };
  const OPACITY = 0.4; // of lesions and probabilities
  let loading = null;

  /** Load a script once; a page that is opened from disk can read other files in no other way. */
  function loadScript(path) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = path;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${path} cannot be loaded.`));
      document.head.append(script);
    });
  }

  /** Give back a WebGL context at once: of more than 16, browsers take the oldest one away, which may be the viewer's. */
  const release = (gl) => gl?.getExtension("WEBGL_lose_context")?.loseContext();

  let supported = null;
  function hasWebGL2() {
    if (supported === null) {
      const gl = document.createElement("canvas").getContext("webgl2");
      supported = Boolean(gl);
      release(gl);
    }
    return supported;
  }

  /** Colours of the lesion numbers, the current lesion in another one. */
  function lesionColours(lesions, current) {
    const table = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: ["background"] };
    for (const { lesion, kept } of lesions) {
      const colour = COLOURS[lesion === current ? "current" : kept ? "kept" : "dropped"];
      ["R", "G", "B"].forEach((channel, n) => table[channel].push(colour[n]));
      table.A.push(255);
      table.I.push(lesion);
      table.labels.push(`lesion ${lesion}`);
    }
    return table;
  }

  /** NiiVue on a canvas, with what stays the same from lesion to lesion. */
  async function start(canvas, onMove) {
    loading ??= loadScript(`${lesionflow.files}/niivue.js`);
    await loading;
    const viewer = new niivue.Niivue({
      backColor: [0, 0, 0, 1],
      crosshairColor: [0.3, 0.85, 1, 0.8],
      crosshairGap: 6,
      crosshairWidth: 0.8,
      crosshairWidthUnit: "percent",
      dragAndDropEnabled: false,
      isRadiologicalConvention: false, // the left of the head is on the left
      loadingText: "",
      logLevel: "error",
      multiplanarLayout: niivue.MULTIPLANAR_TYPE.ROW,
      multiplanarShowRender: niivue.SHOW_RENDER.NEVER,
      sagittalNoseLeft: true, // as in the pictures
    });
    viewer.onLocationChange = ({ values }) => onMove(viewer, values);
    await viewer.attachToCanvas(canvas);
    viewer.setInterpolation(true); // voxels with sharp edges
    viewer.setSliceType(viewer.sliceTypeMultiplanar);
    return viewer;
  }

  /** Show the images around a lesion (or the whole volume) with the crosshair at a place, if they are still wanted when they are read. */
  async function show(viewer, images, { lesions, window: [black, white] }, current, place, isWanted) {
    const image = (base64, options) => niivue.NVImage.loadFromBase64({ base64, ...options });
    const scan = await image(images.scan, { name: "scan.nii.gz", colormap: "gray", cal_min: black, cal_max: white });
    const map = await image(images.lesions, { name: "lesions.nii.gz", opacity: OPACITY });
    const probability = await image(images.probability, {
      ...{ name: "probability.nii.gz", colormap: "viridis", opacity: 0, cal_min: 0.05, cal_max: 1 },
    });
    if (!isWanted()) return; // another lesion was chosen meanwhile
    map.setColormapLabel(lesionColours(lesions, current));
    while (viewer.volumes.length) viewer.removeVolume(viewer.volumes[0]);
    for (const volume of [scan, map, probability]) viewer.addVolume(volume);
    moveTo(viewer, place);
  }

  // NiiVue shows slices along the voxels. Its mm are those of such slices, unless the world's are asked for: on an oblique
  // scan the two differ by centimetres.
  const WORLD = [0, true];

  /** Move the crosshair to a place, or to the nearest one of the images: a mark beyond them would be on nothing. */
  function moveTo(viewer, place) {
    viewer.scene.crosshairPos = viewer.mm2frac(place, ...WORLD).map((share) => Math.min(Math.max(share, 0), 1));
    viewer.createOnLocationChange();
    viewer.drawScene();
  }

  /** World position of the crosshair in mm. */
  const crosshair = (viewer) => [...viewer.frac2mm(viewer.scene.crosshairPos, ...WORLD)].slice(0, 3);

  /**
   * The viewer of a scan, at a lesion. Without WebGL2 it says so, and the pictures have to do.
   * `onMark(place, voxel)` is called when the reader marks a missed lesion.
   */
  function Viewer({ data, lesion, onMark, hidden = [] }) {
    const canvas = useRef(null);
    const viewer = useRef(null);
    const shown = useRef(0);
    const [problem, setProblem] = useState(null);
    const [place, setPlace] = useState(null);
    const [under, setUnder] = useState(0); // lesion at the crosshair
    const [probability, setProbability] = useState(false);
    const [coloured, setColoured] = useState(true);
    const images = data.volume ?? lesion?.crop;
    const peak = lesion ? lesion.peak_mm : data.centre_mm;

    useEffect(() => {
      if (!images) return;
      if (!hasWebGL2()) return setProblem("This browser has no WebGL2, which the volume viewer needs. The pictures show every lesion.");
      const number = (shown.current += 1);
      (async () => {
        viewer.current ??= start(canvas.current, (nv, values) => {
          setPlace(crosshair(nv));
          setUnder(Math.round(values[1]?.value ?? 0));
        });
        const ready = await viewer.current;
        const isWanted = () => number === shown.current;
        await show(ready, images, data, lesion?.lesion, peak, isWanted);
        if (isWanted()) canvas.current.dataset.shows = lesion ? `lesion ${lesion.lesion}` : "scan";
      })().catch((error) => setProblem(`The volume viewer failed: ${error.message}`));
    }, [images, lesion?.lesion]);

    useEffect(() => () => {
      shown.current += 1; // nothing is wanted any more
      viewer.current?.then((ready) => {
        ready.cleanup();
        release(ready.gl);
      });
    }, []);

    useEffect(() => {
      viewer.current?.then((ready) => {
        if (ready.volumes.length < 3) return;
        ready.setOpacity(1, coloured ? OPACITY : 0);
        ready.setOpacity(2, probability ? OPACITY : 0);
      });
    }, [coloured, probability, images, place === null]);

    if (!images) return null;
    if (problem) return html`<p class="note" role="status">${problem}</p>`;
    const move = (axis) => (event) => {
      const value = event.target.valueAsNumber; // NaN if it is empty
      if (place === null || Number.isNaN(value)) return;
      const target = place.map((old, n) => (n === axis ? value : old));
      viewer.current?.then((ready) => moveTo(ready, target));
    };
    return html`<section class="viewer" aria-label="Volume viewer">
      <div class="canvas"><canvas ref=${canvas} tabindex="0" aria-label="Axial, coronal and sagittal slices through the scan at the crosshair"></canvas></div>
      <div class="controls">
        ${place &&
        ["x", "y", "z"].map(
          (name, axis) => html`<label>${name} <input type="number" step="1" value=${place[axis].toFixed(1)} onChange=${move(axis)} /> mm</label>`,
        )}
        <output aria-label="At the crosshair">${under ? `lesion ${under}` : "no lesion"}</output>
        <label><input type="checkbox" id="coloured" aria-keyshortcuts="l" checked=${coloured} onChange=${(e) => setColoured(e.target.checked)} /> lesions</label>
        ${!hidden.includes("probability") &&
        html`<label><input type="checkbox" checked=${probability} onChange=${(e) => setProbability(e.target.checked)} /> probabilities</label>`}
        <button type="button" onClick=${() => viewer.current?.then((ready) => moveTo(ready, peak))}>Back to the ${lesion ? "lesion" : "centre"}</button>
        ${onMark && html`<button type="button" id="mark" aria-keyshortcuts="m" disabled=${!place} onClick=${() => onMark(place)}>Mark a missed lesion here</button>`}
      </div>
    </section>`;
  }

  Object.assign(lesionflow, { Viewer, hasWebGL2, loadScript });
})();
