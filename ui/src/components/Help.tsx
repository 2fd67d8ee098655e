/** What the keyboard does, and how the page works, in a few sentences. */
import { Dialog } from "./controls.tsx";

const command = /Mac|iP(hone|ad)/.test(navigator.platform) ? "⌘" : "Ctrl";

const SHORTCUTS: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
  ["Send the message", ["Enter"]],
  ["New line", ["Shift", "Enter"]],
  ["Stop the run, close a dialog", ["Esc"]],
  ["Write a message", ["/"]],
  ["Search threads", [command, "K"]],
  ["New thread", [command, "Shift", "O"]],
  ["Previous thread", ["Alt", "↑"]],
  ["Next thread", ["Alt", "↓"]],
  ["Copy the last answer", [command, "Shift", "C"]],
  ["Open or fold the last run", ["E"]],
  ["This help", ["?"]],
];

export function ShortcutList() {
  return (
    <dl className="shortcuts">
      {SHORTCUTS.map(([words, keys]) => (
        <div key={words}>
          <dt>{words}</dt>
          <dd>
            {keys.map((key) => (
              <kbd key={key}>{key}</kbd>
            ))}
          </dd>
        </div>
      ))}
    </dl>
  );
}

export function Help({ onClose }: { readonly onClose: () => void }) {
  return (
    <Dialog title="Help" onClose={onClose}>
      <p className="dialog-words">
        Ask in the box at the bottom; attach files with the paper clip, by dropping or by pasting them. Each answer
        shows what the agent did, step by step. A run goes on when you close the page: come back on any device and
        everything is there.
      </p>
      <ShortcutList />
    </Dialog>
  );
}
