/** Icons: 16 px strokes in the colour of the text around them, hidden from screen readers (words stand beside them). */
import type { ReactNode } from "react";

export interface IconProps {
  readonly size?: number;
  readonly className?: string;
}

function icon(body: ReactNode, viewBox = "0 0 16 16") {
  return function Icon({ size = 16, className }: IconProps) {
    return (
      <svg
        className={className ? `icon ${className}` : "icon"}
        width={size}
        height={size}
        viewBox={viewBox}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.5"
        strokeLinecap="round"
        strokeLinejoin="round"
        aria-hidden="true"
        focusable="false"
      >
        {body}
      </svg>
    );
  };
}

export const PlusIcon = icon(<path d="M8 3.25v9.5M3.25 8h9.5" />);
export const SearchIcon = icon(
  <>
    <circle cx="7.25" cy="7.25" r="4" />
    <path d="m10.25 10.25 3 3" />
  </>,
);
export const SendIcon = icon(<path d="M8 12.75v-9M4 7.5l4-4 4 4" />);
export const StopIcon = icon(
  <rect x="4.25" y="4.25" width="7.5" height="7.5" rx="1.5" fill="currentColor" stroke="none" />,
);
export const AttachIcon = icon(
  <path d="m13 7.75-4.9 4.9a3 3 0 0 1-4.25-4.25l5.1-5.1a2 2 0 0 1 2.85 2.83l-5.03 5.02a1 1 0 0 1-1.42-1.4l4.5-4.5" />,
);
export const FileIcon = icon(
  <>
    <path d="M4 2.75h5l3 3v7.5H4z" />
    <path d="M8.75 2.75V6H12" />
  </>,
);
export const CloseIcon = icon(<path d="m4 4 8 8m0-8-8 8" />);
export const CheckIcon = icon(<path d="m3.5 8.5 3 3 6-6.5" />);
export const CrossIcon = icon(<path d="m4.75 4.75 6.5 6.5m0-6.5-6.5 6.5" />);
export const MinusIcon = icon(<path d="M4.5 8h7" />);
export const ChevronIcon = icon(<path d="m6 4 4 4-4 4" />);
export const DownIcon = icon(<path d="M8 3.25v9M4 8.5l4 4 4-4" />);
export const MoreIcon = icon(
  <>
    <circle cx="3.5" cy="8" r="1" fill="currentColor" stroke="none" />
    <circle cx="8" cy="8" r="1" fill="currentColor" stroke="none" />
    <circle cx="12.5" cy="8" r="1" fill="currentColor" stroke="none" />
  </>,
);
export const MenuIcon = icon(<path d="M2.75 5h10.5M2.75 11h10.5" />);
export const CopyIcon = icon(
  <>
    <rect x="5.75" y="5.75" width="7.5" height="7.5" rx="1.5" />
    <path d="M10.25 3.5v-.25a.5.5 0 0 0-.5-.5h-6.5a.5.5 0 0 0-.5.5v6.5a.5.5 0 0 0 .5.5h.25" />
  </>,
);
export const RetryIcon = icon(
  <>
    <path d="M12.75 8a4.75 4.75 0 1 1-1.4-3.36L12.75 6" />
    <path d="M12.75 3v3h-3" />
  </>,
);
export const ThumbUpIcon = icon(
  <path d="M5.25 7.25v6H3v-6zm0 0L8 2.5c.95 0 1.6.75 1.4 1.7l-.5 2.3h3.35c.85 0 1.45.8 1.2 1.6l-1.2 4.1c-.15.6-.7 1.05-1.35 1.05H5.25" />,
);
export const ThumbDownIcon = icon(
  <path d="M10.75 8.75v-6H13v6zm0 0L8 13.5c-.95 0-1.6-.75-1.4-1.7l.5-2.3H3.75c-.85 0-1.45-.8-1.2-1.6l1.2-4.1c.15-.6.7-1.05 1.35-1.05h5.65" />,
);
export const PanelIcon = icon(
  <>
    <rect x="2.25" y="3" width="11.5" height="10" rx="1.5" />
    <path d="M9.75 3v10" />
  </>,
);
export const EditIcon = icon(<path d="m9.75 4 2.25 2.25-6.5 6.5H3.25V10.5z" />);
export const TrashIcon = icon(<path d="M2.75 4.25h10.5M6.25 4V2.75h3.5V4M4 4.25l.6 9h6.8l.6-9" />);
export const SettingsIcon = icon(
  <>
    <path d="M2.5 5h6M12 5h1.5M2.5 11H4M7.5 11h6" />
    <circle cx="10.25" cy="5" r="1.75" />
    <circle cx="5.75" cy="11" r="1.75" />
  </>,
);
export const HelpIcon = icon(
  <>
    <circle cx="8" cy="8" r="5.75" />
    <path d="M6.4 6.4a1.65 1.65 0 1 1 2.3 1.5c-.5.2-.7.5-.7 1" />
    <path d="M8 11.1v.05" />
  </>,
);
export const SignOutIcon = icon(
  <>
    <path d="M6.5 2.75h-3v10.5h3" />
    <path d="M6.75 8h6.5m-2.5-2.75L13.5 8l-2.75 2.75" />
  </>,
);
export const BackIcon = icon(<path d="M12.75 8h-9.5m4-4-4 4 4 4" />);
export const ThoughtIcon = icon(
  <>
    <path d="M8 2.75c.5 2.9 2.35 4.75 5.25 5.25C10.35 8.5 8.5 10.35 8 13.25 7.5 10.35 5.65 8.5 2.75 8 5.65 7.5 7.5 5.65 8 2.75Z" />
  </>,
);
export const HandIcon = icon(
  <>
    <path d="M8 2.5 13 4.25v3.5c0 3-2.1 4.9-5 5.75-2.9-.85-5-2.75-5-5.75v-3.5z" />
    <path d="M8 5.75v2.5M8 10.5v.05" />
  </>,
);
export const ClockIcon = icon(
  <>
    <circle cx="8" cy="8" r="5.5" />
    <path d="M8 5v3l2 1.5" />
  </>,
);
export const AlertIcon = icon(
  <>
    <path d="M8 2.75 14 13H2z" />
    <path d="M8 6.75v2.75M8 11.3v.05" />
  </>,
);
export const AgentIcon = icon(
  <>
    <circle cx="4" cy="3.75" r="1.5" />
    <circle cx="12" cy="8" r="1.5" />
    <path d="M4 5.25V10a2.5 2.5 0 0 0 2.5 2.5h1M4 8h6.5" />
  </>,
);
export const TableIcon = icon(
  <>
    <rect x="2.5" y="3.25" width="11" height="9.5" rx="1.25" />
    <path d="M2.5 6.5h11M6.5 6.5v6.25" />
  </>,
);
export const ChartIcon = icon(<path d="M3 13V9.5M6.4 13V5.5M9.75 13V7.5M13 13V3.5" />);
export const OfflineIcon = icon(
  <>
    <path d="M2.5 6.25a8 8 0 0 1 11 0M4.75 8.75a4.8 4.8 0 0 1 6.5 0M8 11.75v.05" />
    <path d="m3 3 10 10" />
  </>,
);
export const KeyIcon = icon(
  <>
    <circle cx="5.5" cy="10.5" r="2.75" />
    <path d="m7.5 8.5 5.25-5.25M10.5 5.5l2 2" />
  </>,
);

export function Mark({ size = 22 }: { readonly size?: number }) {
  return (
    <svg className="mark" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <path
        className="mark-lid"
        d="M3 16c3.4-6.3 7.7-9.3 13-9.3S25.6 9.7 29 16c-3.4 6.3-7.7 9.3-13 9.3S6.4 22.3 3 16Z"
      />
      <circle className="mark-iris" cx="16" cy="16" r="4.6" />
    </svg>
  );
}
