/** Entry of the page. */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Root } from "./components/Root.tsx";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/conversation.css";
import "./styles/markdown.css";
import "./styles/settings.css";

const host = document.getElementById("app");
if (!host) throw new Error("no #app element");
createRoot(host).render(
  <StrictMode>
    <Root />
  </StrictMode>,
);
