// The libraries of the pages as one script: a page that is opened from disk cannot load modules.
import { dot, plot, ruleX } from "@observablehq/plot";
import DataTable from "datatables.net-dt";
import "datatables.net-buttons-dt";
import "datatables.net-buttons/js/buttons.colVis.mjs";
import "datatables.net-dt/css/dataTables.dataTables.css";
import "datatables.net-buttons-dt/css/buttons.dataTables.css";
import htm from "htm";
import { h, render } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

const html = htm.bind(h);
globalThis.libraries = { DataTable, dot, html, plot, render, ruleX, useEffect, useMemo, useRef, useState };
