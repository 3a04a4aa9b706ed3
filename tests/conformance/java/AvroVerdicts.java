import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.avro.NameValidator;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.SchemaCompatibility.Incompatibility;
import org.apache.avro.SchemaCompatibility.SchemaCompatibilityType;
import org.apache.avro.SchemaNormalization;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/**
 * Says what Java's Avro library thinks, a line per question. Fields of a question are separated by tabs; schemas are JSON on one line.
 *
 * <pre>
 * verdict READER WRITER   ok | TYPE location ; TYPE location ... | error CLASS
 * print SCHEMA            Schema.toString TAB Parsing Canonical Form TAB CRC-64-AVRO in hex | error CLASS
 * read SCHEMA HEX         the datum in HEX written again, in hex | error CLASS
 * </pre>
 */
public final class AvroVerdicts {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintWriter out = new PrintWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8));
        String line;
        while ((line = in.readLine()) != null) {
            String answer;
            try {
                answer = answer(line.split("\t", -1));
            } catch (Exception | StackOverflowError e) {
                answer = "error " + e.getClass().getName();
            }
            out.println(answer);
        }
        out.flush();
    }

    private static String answer(String[] question) throws Exception {
        switch (question[0]) {
            case "verdict": {
                var result = SchemaCompatibility.checkReaderWriterCompatibility(parse(question[1]), parse(question[2])).getResult();
                if (result.getCompatibility() == SchemaCompatibilityType.COMPATIBLE) {
                    return "ok";
                }
                List<Incompatibility> all = result.getIncompatibilities();
                return all.stream().map(i -> i.getType() + " " + i.getLocation()).collect(Collectors.joining(" ; "));
            }
            case "print": {
                Schema schema = parse(question[1]);
                return schema + "\t" + SchemaNormalization.toParsingForm(schema) + "\t"
                    + Long.toHexString(SchemaNormalization.parsingFingerprint64(schema));
            }
            case "read": {
                Schema schema = parse(question[1]);
                byte[] bytes = HexFormat.of().parseHex(question[2]);
                BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(bytes, null);
                Object datum = new GenericDatumReader<>(schema).read(null, decoder);
                if (!decoder.isEnd()) {
                    return "error trailing bytes";
                }
                ByteArrayOutputStream again = new ByteArrayOutputStream();
                BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(again, null);
                new GenericDatumWriter<>(schema).write(datum, encoder);
                encoder.flush();
                return HexFormat.of().formatHex(again.toByteArray());
            }
            default:
                return "error unknown question " + question[0];
        }
    }

    /** A parser of its own, because a parser remembers names; strict about their letters, as the registry's is. */
    private static Schema parse(String text) {
        return new Schema.Parser(NameValidator.STRICT_VALIDATOR).parse(text);
    }
}
