/** A password that an administrator made for somebody, shown once. */
import { Button, CopyButton, Dialog } from "../components/controls.tsx";

/** A password that is shown once. */
export interface Secret {
  readonly email: string;
  readonly password: string;
}

export function SecretDialog({ secret, onClose }: { readonly secret: Secret; readonly onClose: () => void }) {
  return (
    <Dialog title="New password" onClose={onClose}>
      <p className="dialog-words">
        For {secret.email}. It is shown only now; hand it over on a safe way. They can change it in their settings.
      </p>
      <div className="secret">
        <code>{secret.password}</code>
        <CopyButton text={() => secret.password} />
      </div>
      <div className="form-actions">
        <Button kind="primary" onClick={onClose}>
          Done
        </Button>
      </div>
    </Dialog>
  );
}
