import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.internal.JsonParser;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.ClientCalls;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Calls a method again and again until its input ends, then prints how many calls ended how.
 *
 * <p>java Caller.java TARGET METHOD REQUEST CONFIG WAIT, as caller.js.
 */
public final class Caller {
  private static final int MILLISECONDS = 25;
  private static final int SECONDS = 20;

  private static final class Bytes implements MethodDescriptor.Marshaller<byte[]> {
    @Override
    public InputStream stream(byte[] own) {
      return new ByteArrayInputStream(own);
    }

    @Override
    public byte[] parse(InputStream stream) {
      try {
        return stream.readAllBytes();
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }
  }

  @SuppressWarnings("unchecked")
  public static void main(String[] arguments) throws Exception {
    NettyChannelBuilder builder = NettyChannelBuilder.forTarget(arguments[0]).usePlaintext();
    if (!arguments[3].isEmpty()) {
      String config = Files.readString(Path.of(arguments[3]));
      builder.defaultServiceConfig((Map<String, ?>) JsonParser.parse(config)).enableRetry();
    }
    ManagedChannel channel = builder.build();
    MethodDescriptor<byte[], byte[]> method =
        MethodDescriptor.newBuilder(new Bytes(), new Bytes())
            .setType(MethodDescriptor.MethodType.UNARY)
            .setFullMethodName(arguments[1].substring(1))
            .build();
    byte[] request = Base64.getDecoder().decode(arguments[2]);
    boolean wait = arguments[4].equals("wait");
    Map<String, Integer> ended = new TreeMap<>();
    AtomicBoolean stopping = new AtomicBoolean();
    Thread input =
        new Thread(
            () -> {
              try {
                System.in.read();
              } catch (IOException error) {
                throw new UncheckedIOException(error);
              }
              stopping.set(true);
            });
    input.start();
    ExecutorService callers = Executors.newCachedThreadPool();
    while (!stopping.get()) {
      callers.execute(
          () -> {
            CallOptions options =
                CallOptions.DEFAULT.withDeadlineAfter(SECONDS, TimeUnit.SECONDS);
            String code = "OK";
            try {
              ClientCalls.blockingUnaryCall(
                  channel, method, wait ? options.withWaitForReady() : options, request);
            } catch (StatusRuntimeException error) {
              code = error.getStatus().getCode().name();
            }
            synchronized (ended) {
              if (ended.isEmpty()) {
                System.out.println("began");
              }
              ended.merge(code, 1, Integer::sum);
            }
          });
      Thread.sleep(MILLISECONDS);
    }
    callers.shutdown();
    callers.awaitTermination(2 * SECONDS, TimeUnit.SECONDS);
    StringBuilder told = new StringBuilder();
    ended.forEach(
        (code, count) -> told.append(told.length() == 0 ? "" : ", ").append("\"" + code + "\": " + count));
    System.out.println("{" + told + "}");
    channel.shutdownNow();
  }
}
