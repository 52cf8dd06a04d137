// The version that the command line prints.
/** Version of cria, the one of package.json. */
export const VERSION = "0.1.0";
