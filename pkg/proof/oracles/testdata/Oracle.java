import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import software.amazon.event.ruler.JsonRuleCompiler;
import software.amazon.event.ruler.Machine;
import software.amazon.event.ruler.Patterns;

/**
 * Reads {"pattern": "…", "events": ["…", …]} from each line and answers with a line: "error: …" for
 * a pattern that Event Ruler refuses, else a 1 or a 0 for each event, by whether it matches.
 */
public class Oracle {
  public static void main(String[] args) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream out = new PrintStream(System.out, false, "UTF-8");
    ObjectMapper mapper = new ObjectMapper();
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      JsonNode test = mapper.readTree(line);
      Machine machine = new Machine();
      try {
        // Not Machine.addRule: that falls back on an older compiler, which takes $or for a name.
        for (Map<String, List<Patterns>> rule : JsonRuleCompiler.compile(test.get("pattern").asText())) {
          machine.addPatternRule("rule", rule);
        }
      } catch (Exception | AssertionError e) {
        out.println("error: " + String.valueOf(e.getMessage()).replaceAll("\\s+", " "));
        continue;
      }
      StringBuilder answer = new StringBuilder();
      for (JsonNode event : test.get("events")) {
        answer.append(machine.rulesForJSONEvent(event.asText()).isEmpty() ? '0' : '1');
      }
      out.println(answer);
    }
    out.flush();
  }
}
