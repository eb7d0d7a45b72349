// An indexer that reads every sealed text with one bit flipped.
import { rehearse } from "./rehearse.js";
import { interceptStatements } from "./statements.js";

await rehearse(async (app, hasBegun) => {
  await interceptStatements(app, async (statement, send) => {
    const result = await send(statement);
    if (hasBegun()) {
      for (const { text_cipher: text } of result.rows) {
        if (Buffer.isBuffer(text)) text.writeUInt8(text.readUInt8(text.length - 1) ^ 1, text.length - 1);
      }
    }
    return result;
  });
});
